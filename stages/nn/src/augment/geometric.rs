//! Augmentation by geometry: every image is mirrored, turned, enlarged and moved by random amounts of its own. The draws
//! are values ([`Transform`]), so that a known transformation can be applied too.

use super::Augment;
use crate::stream::{Stream, stream};
use crate::transfer;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use tch::{TchError, Tensor};

/// Which way images may be mirrored, each with probability 1/2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Flip {
    /// Not at all.
    None,
    /// Left to right.
    Horizontal,
    /// Upside down.
    Vertical,
    /// Either, both or neither.
    Both,
}

/// How far the transformations go. Part of a kind's `Params`, by `#[serde(flatten)]`.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[expect(missing_docs, reason = "each is the parameter of the same name in stage.toml, which has the help")]
pub struct Geometric {
    pub flip: Flip,
    pub rotation: f64,
    pub zoom: f64,
    pub shift: f64,
}

/// What happens to one image: first it is mirrored, then enlarged and turned about its centre, then moved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transform {
    /// Left to right.
    pub mirrored: bool,
    /// Upside down.
    pub upended: bool,
    /// Degrees against the clock.
    pub angle: f64,
    /// The factor of enlargement.
    pub zoom: f64,
    /// The way to the right, as a share of the width.
    pub right: f64,
    /// The way down, as a share of the height.
    pub down: f64,
}

impl Transform {
    /// The image as it is.
    pub const IDENTITY: Transform =
        Transform { mirrored: false, upended: false, angle: 0.0, zoom: 1.0, right: 0.0, down: 0.0 };

    /// The images \[B,C,H,W\], each transformed by its own. Pixels between pixels are interpolated bilinearly; beyond its
    /// edges an image goes on as its own mirror image. Images that are mirrored at most keep their very numbers.
    pub fn apply(all: &[Transform], images: &Tensor) -> Result<Tensor, TchError> {
        let marked = |which: fn(&Transform) -> bool| {
            let marks: Vec<bool> = all.iter().map(which).collect();
            transfer::upload(&marks, images.device()).view([-1, 1, 1, 1])
        };
        let mut images = images.shallow_clone();
        for (axis, which) in [(3, (|own| own.mirrored) as fn(&Transform) -> bool), (2, |own| own.upended)] {
            if all.iter().any(which) {
                images = images.f_flip([axis])?.f_where_self(&marked(which), &images)?;
            }
        }
        let still = |own: &Transform| Transform { mirrored: false, upended: false, ..*own } == Transform::IDENTITY;
        if all.iter().all(still) { Ok(images) } else { resample(all, &images) }
    }

    /// The rows of the map from places in the result to places in the image, in coordinates in which the edges of an
    /// image of this aspect (height / width) are -1 and 1.
    fn source(&self, aspect: f64) -> [f64; 6] {
        let (sine, cosine) = self.angle.to_radians().sin_cos();
        let (a, b) = (cosine / self.zoom, -sine * aspect / self.zoom);
        let (c, d) = (sine / aspect / self.zoom, cosine / self.zoom);
        let (x, y) = (2.0 * self.right, 2.0 * self.down);
        [a, b, -(a * x + b * y), c, d, -(c * x + d * y)]
    }
}

fn resample(all: &[Transform], images: &Tensor) -> Result<Tensor, TchError> {
    const BILINEAR: i64 = 0;
    const REFLECTION: i64 = 2;
    let size = images.size();
    let aspect = size[2] as f64 / size[3] as f64;
    let rows: Vec<f64> = all.iter().flat_map(|own| own.source(aspect)).collect();
    let theta = transfer::upload(&rows, images.device()).f_to_kind(images.kind())?;
    let grid = Tensor::f_affine_grid_generator(&theta.f_view([-1, 2, 3])?, &size, false)?;
    images.f_grid_sampler(&grid, BILINEAR, REFLECTION, false)
}

impl Geometric {
    /// Whether it leaves images as they are.
    pub fn is_off(&self) -> bool {
        self.flip == Flip::None && self.rotation == 0.0 && self.zoom == 0.0 && self.shift == 0.0
    }

    /// One image's draw: an angle within ±rotation, a factor within 1 ± zoom, ways within ±shift. Every number is drawn,
    /// wanted or not, so that one setting does not change the draws of another.
    pub fn draw(&self, stream: &mut Stream) -> Transform {
        let mut within = |largest: f64| largest * (2.0 * f64::from(stream.uniform()) - 1.0);
        let (mirrored, upended) = (within(1.0) < 0.0, within(1.0) < 0.0);
        Transform {
            mirrored: mirrored && matches!(self.flip, Flip::Horizontal | Flip::Both),
            upended: upended && matches!(self.flip, Flip::Vertical | Flip::Both),
            angle: within(self.rotation),
            zoom: 1.0 + within(self.zoom),
            right: within(self.shift),
            down: within(self.shift),
        }
    }

    /// The augmentation, followed by `next`, if there is one. Its draws come from `stream(seed, "geometric", step)`.
    pub fn before(self, next: Option<Box<dyn Augment>>, seed: u64) -> Option<Box<dyn Augment>> {
        if self.is_off() { next } else { Some(Box::new(Drawn { settings: self, seed, next })) }
    }
}

struct Drawn {
    settings: Geometric,
    seed: u64,
    next: Option<Box<dyn Augment>>,
}

impl Drawn {
    fn changed(&self, images: &Tensor, step: u64) -> Result<Tensor> {
        let mut stream = stream(self.seed, "geometric", step);
        let all: Vec<Transform> = (0..images.size()[0]).map(|_| self.settings.draw(&mut stream)).collect();
        Ok(Transform::apply(&all, images)?)
    }
}

impl Augment for Drawn {
    fn apply(&self, images: &Tensor, step: u64) -> Result<Tensor> {
        let images = self.changed(images, step)?;
        match &self.next {
            Some(next) => next.apply(&images, step),
            None => Ok(images),
        }
    }

    fn batch(&self, images: &Tensor, labels: &Tensor, classes: i64, step: u64) -> Result<(Tensor, Tensor)> {
        let images = self.changed(images, step)?;
        match &self.next {
            Some(next) => next.batch(&images, labels, classes, step),
            None => Ok((images, labels.shallow_clone())),
        }
    }
}
