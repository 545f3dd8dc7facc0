//! The augmentation of DC (Zhao et al., Dataset Condensation with Gradient Matching, 2021), used where students are
//! trained on MNIST without DSA. One operation per image; not differentiable; on a CPU images are changed in parallel, on a
//! GPU as `dc_on_device.rs` does it. Draws are values, as in `draw.rs`; independent of DSA otherwise.

use crate::augment::spline::Spline;
use crate::layout::Layout;
use crate::transfer;
use rand::Rng;
use rand_distr::StandardNormal;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// What may happen to an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Choice {
    /// Cut at a random place of the image padded with its mean colour.
    Crop,
    /// Stretch both axes by nearest neighbours.
    Scale,
    /// Rotate by cubic splines.
    Rotate,
    /// Add Gaussian noise.
    Noise,
}

/// What happens to one image, with its draws.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "choice", rename_all = "lowercase")]
pub enum Operation {
    /// The image padded on all sides, cut at this place.
    Crop {
        /// Rows above the cut.
        row_offset: usize,
        /// Columns left of the cut.
        col_offset: usize,
    },
    /// New sides as factors of the image's height, which the authors' code uses for both.
    Scale {
        /// Factor that gives the height.
        h_factor: f64,
        /// Factor that gives the width.
        w_factor: f64,
    },
    /// Rotation about the centre.
    Rotate {
        /// The angle in degrees.
        angle_degrees: f64,
    },
    /// Noise, C*H*W standard normal numbers.
    Noise {
        /// The numbers, in the image's order.
        normal: Vec<f32>,
    },
}

/// The strength of each choice, and which there are.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct DcAugmentation {
    /// Pixels of padding on each side.
    pub crop: usize,
    /// Largest relative change of a side.
    pub scale: f64,
    /// Largest angle in degrees.
    pub rotate: f64,
    /// Standard deviation of the noise.
    pub noise: f64,
    /// One of them is drawn for each image.
    #[serde(rename = "strategy", deserialize_with = "choices")]
    pub choices: Vec<Choice>,
}

impl DcAugmentation {
    /// What the authors' code does to MNIST when it trains students: crop, scale or rotate.
    pub fn mnist() -> Self {
        let choices = vec![Choice::Crop, Choice::Scale, Choice::Rotate];
        DcAugmentation { crop: 4, scale: 0.2, rotate: 45.0, noise: 0.001, choices }
    }

    /// What the authors' code does when the student has batch norm: crop or noise.
    pub fn batch_norm() -> Self {
        DcAugmentation { choices: vec![Choice::Crop, Choice::Noise], ..Self::mnist() }
    }

    /// Draws one operation for each of `batch` images of `pixels` = C*H*W numbers; none without choices.
    pub fn draw(&self, batch: usize, pixels: usize, rng: &mut impl Rng) -> Vec<Operation> {
        if self.choices.is_empty() {
            return Vec::new();
        }
        (0..batch).map(|_| self.draw_one(pixels, rng)).collect()
    }

    fn draw_one(&self, pixels: usize, rng: &mut impl Rng) -> Operation {
        match self.choices[rng.random_range(0..self.choices.len())] {
            // The last place, 2 * crop, is never taken by the authors' code either.
            Choice::Crop => {
                let places = 0..(2 * self.crop).max(1);
                Operation::Crop { row_offset: rng.random_range(places.clone()), col_offset: rng.random_range(places) }
            }
            Choice::Scale => {
                let mut factor = || 1.0 - self.scale + 2.0 * self.scale * rng.random::<f64>();
                Operation::Scale { h_factor: factor(), w_factor: factor() }
            }
            Choice::Rotate => {
                let limit = self.rotate as i64;
                let angle = if limit > 0 { rng.random_range(-limit..limit) } else { 0 };
                Operation::Rotate { angle_degrees: angle as f64 }
            }
            Choice::Noise => Operation::Noise { normal: rng.sample_iter(StandardNormal).take(pixels).collect() },
        }
    }

    /// Applies the operations, one per image, to images [B, C, H, W]; images beyond the operations stay as they are.
    pub fn apply(&self, images: &Tensor, operations: &[Operation]) -> Result<Tensor, tch::TchError> {
        match Layout::of(images.device()) {
            Layout::Pieces => self.apply_on_host(images, operations),
            Layout::Together => self.apply_on_device(images, operations),
        }
    }

    fn apply_on_host(&self, images: &Tensor, operations: &[Operation]) -> Result<Tensor, tch::TchError> {
        let size = images.size();
        let (channels, height, width) = (size[1] as usize, size[2] as usize, size[3] as usize);
        let mean = images.f_mean_dim([0i64, 2, 3].as_slice(), false, Kind::Double)?;
        let frame = Frame { channels, height, width, mean: transfer::numbers(&mean)? };
        let mut pixels: Vec<f32> = transfer::numbers(&images.f_to_kind(Kind::Float)?.f_flatten(0, -1)?)?;
        pixels
            .par_chunks_exact_mut(channels * height * width)
            .zip(operations)
            .for_each(|(image, operation)| self.change(image, operation, &frame));
        transfer::upload(&pixels, images.device()).f_view(&size[..])?.f_to_kind(images.kind())
    }

    fn change(&self, image: &mut [f32], operation: &Operation, frame: &Frame) {
        if let Operation::Noise { normal } = operation {
            image.iter_mut().zip(normal).for_each(|(pixel, normal)| *pixel += self.noise as f32 * normal);
            return;
        }
        for (channel, plane) in image.chunks_exact_mut(frame.height * frame.width).enumerate() {
            let changed = match *operation {
                Operation::Crop { row_offset, col_offset } => {
                    frame.crop(plane, frame.mean[channel] as f32, self.crop, row_offset, col_offset)
                }
                Operation::Scale { h_factor, w_factor } => frame.scale(plane, h_factor, w_factor),
                Operation::Rotate { angle_degrees } => frame.rotate(plane, angle_degrees),
                Operation::Noise { .. } => continue,
            };
            plane.copy_from_slice(&changed);
        }
    }
}

/// The form of the images, and their mean per channel over the whole batch.
struct Frame {
    channels: usize,
    height: usize,
    width: usize,
    mean: Vec<f64>,
}

impl Frame {
    fn crop(&self, plane: &[f32], outside: f32, pad: usize, rows: usize, columns: usize) -> Vec<f32> {
        let inside = |at: usize, offset: usize, side: usize| (at + offset).checked_sub(pad).filter(|at| *at < side);
        self.fill(|y, x| match (inside(y, rows, self.height), inside(x, columns, self.width)) {
            (Some(y), Some(x)) => plane[y * self.width + x],
            _ => outside,
        })
    }

    /// Resizes by nearest neighbours, centres the result in a black square that holds both, and cuts its middle.
    fn scale(&self, plane: &[f32], h_factor: f64, w_factor: f64) -> Vec<f32> {
        let [height, width] = scaled_sides(self.height, h_factor, w_factor);
        let square = height.max(width).max(self.height).max(self.width);
        let source = |at, old, new| scaled_from(at, old, new, square);
        self.fill(|y, x| match (source(y, self.height, height), source(x, self.width, width)) {
            (Some(y), Some(x)) => plane[y * self.width + x],
            _ => 0.0,
        })
    }

    /// The middle of what scipy.ndimage.rotate returns, whose picture grows until it holds the turned image.
    fn rotate(&self, plane: &[f32], degrees: f64) -> Vec<f32> {
        let outside = self.mean.iter().sum::<f64>() / self.channels as f64;
        let spline = Spline::fit(plane, self.height, self.width);
        let (height, width) = (self.height as f64, self.width as f64);
        let Turn { sine, cosine, start, middle } = Turn::of(degrees, height, width);
        self.fill(|y, x| {
            let y = start[0] + y as f64 - middle[0];
            let x = start[1] + x as f64 - middle[1];
            let source_y = (height - 1.0) / 2.0 + cosine * y + sine * x;
            let source_x = (width - 1.0) / 2.0 - sine * y + cosine * x;
            spline.at(source_y, source_x).unwrap_or(outside) as f32
        })
    }

    fn fill(&self, pixel: impl Fn(usize, usize) -> f32) -> Vec<f32> {
        (0..self.height * self.width).map(|at| pixel(at / self.width, at % self.width)).collect()
    }
}

/// The sides of a scaled image, of which the authors' code takes both from the height.
pub(super) fn scaled_sides(height: usize, h_factor: f64, w_factor: f64) -> [usize; 2] {
    [h_factor, w_factor].map(|factor| ((factor * height as f64) as usize).max(1))
}

/// Which place of an axis of length `old` is seen at a place after it was scaled to `new` and cut from a square.
pub(super) fn scaled_from(at: usize, old: usize, new: usize, square: usize) -> Option<usize> {
    let at = (at + (square - old) / 2).checked_sub((square - new) / 2).filter(|at| *at < new)?;
    // Single precision, as the resizing of the authors' library rounds.
    Some(((at as f32 * (old as f32 / new as f32)) as usize).min(old - 1))
}

/// A rotation of a picture that grows until it holds the turned image: where the part that is kept starts, and its middle.
pub(super) struct Turn {
    pub sine: f64,
    pub cosine: f64,
    pub start: [f64; 2],
    pub middle: [f64; 2],
}

impl Turn {
    pub(super) fn of(degrees: f64, height: f64, width: f64) -> Self {
        let (sine, cosine) = degrees.to_radians().sin_cos();
        let grown = |along: f64, across: f64| (along * cosine.abs() + across * sine.abs() + 0.5).floor();
        let (grown_height, grown_width) = (grown(height, width), grown(width, height));
        let start = [(grown_height - height) / 2.0, (grown_width - width) / 2.0].map(f64::trunc);
        Turn { sine, cosine, start, middle: [(grown_height - 1.0) / 2.0, (grown_width - 1.0) / 2.0] }
    }
}

fn choices<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Choice>, D::Error> {
    use serde::de::IntoDeserializer;
    let text = String::deserialize(deserializer)?;
    text.split('_').map(|name| Choice::deserialize(name.into_deserializer())).collect()
}
