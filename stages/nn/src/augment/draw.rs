//! The random draws of an augmentation, as values: what each operation does to which image. Made by a strategy or read
//! from a record; the formulas that use them are in `operation.rs`.

use rand::Rng;
use serde::Deserialize;
use std::ops::Range;

/// Whether the images of a call share a draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// One draw for all images of all calls it is applied in: Siamese augmentation.
    Siamese,
    /// One draw for each of so many images.
    PerImage(i64),
}

/// One random number of an operation: the same for all images, or one per image.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Draws<T> {
    /// The same for all images.
    Shared(T),
    /// One per image, in the order of the batch.
    Each(Vec<T>),
}

/// One operation with its draws. `u`, `ux`, `uy` are uniform in [0, 1); the others are whole pixels.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase", deny_unknown_fields)]
pub enum Operation {
    /// Adds (u - 0.5) * brightness.
    Brightness {
        /// Uniform.
        u: Draws<f64>,
    },
    /// Scales the distance from the pixel's mean over channels by u * saturation.
    Saturation {
        /// Uniform.
        u: Draws<f64>,
    },
    /// Scales the distance from the image's mean by u + contrast.
    Contrast {
        /// Uniform.
        u: Draws<f64>,
    },
    /// Pixel (h, w) becomes pixel (h + tx, w + ty), zero where there is none.
    Crop {
        /// Shift of the rows.
        tx: Draws<i64>,
        /// Shift of the columns.
        ty: Draws<i64>,
    },
    /// Blanks the rectangle whose middle is (ox, oy).
    Cutout {
        /// Row of the middle.
        ox: Draws<i64>,
        /// Column of the middle.
        oy: Draws<i64>,
    },
    /// Mirrors left to right where u < prob_flip.
    Flip {
        /// Uniform.
        u: Draws<f64>,
    },
    /// Samples at a distance from the centre that is larger or smaller by a factor per axis.
    Scale {
        /// Uniform; the factor of the width.
        ux: Draws<f64>,
        /// Uniform; the factor of the height.
        uy: Draws<f64>,
    },
    /// Rotates about the centre by (2u - 1) * ratio_rotate degrees.
    Rotate {
        /// Uniform.
        u: Draws<f64>,
    },
}

impl<T: Copy> Draws<T> {
    /// Makes the numbers one after the other.
    fn make(sharing: Sharing, mut draw: impl FnMut() -> T) -> Self {
        match sharing {
            Sharing::Siamese => Draws::Shared(draw()),
            Sharing::PerImage(images) => Draws::Each((0..images).map(|_| draw()).collect()),
        }
    }

    /// Applies a function to each number.
    pub fn map<U>(&self, function: impl Fn(T) -> U) -> Draws<U> {
        match self {
            Draws::Shared(value) => Draws::Shared(function(*value)),
            Draws::Each(values) => Draws::Each(values.iter().map(|value| function(*value)).collect()),
        }
    }

    /// The numbers: one, or one per image.
    pub fn as_slice(&self) -> &[T] {
        match self {
            Draws::Shared(value) => std::slice::from_ref(value),
            Draws::Each(values) => values,
        }
    }
}

impl Draws<f64> {
    /// Uniform numbers in [0, 1), exact in single precision.
    pub fn uniform(sharing: Sharing, rng: &mut impl Rng) -> Self {
        Draws::make(sharing, || f64::from(rng.random::<f32>()))
    }
}

impl Draws<i64> {
    /// Uniform whole numbers of a range that is not empty.
    pub fn integers(sharing: Sharing, range: Range<i64>, rng: &mut impl Rng) -> Self {
        Draws::make(sharing, || rng.random_range(range.clone()))
    }
}
