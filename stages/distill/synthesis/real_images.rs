//! The real images as the methods draw from them, class by class.

use super::ClassImages;
use crate::artifact::{Dataset, SyntheticSet};
use anyhow::{Result, ensure};
use ddpipe_nn::stream::stream;
use tch::Tensor;

/// The real images, ready to be drawn from by class.
pub struct RealImages<'a> {
    dataset: &'a Dataset,
    positions: Vec<Vec<i64>>,
}

impl<'a> RealImages<'a> {
    /// Checks that the real images can stand beside these synthetic ones.
    pub fn new(dataset: &'a Dataset, start: &SyntheticSet) -> Result<Self> {
        let (real, synthetic) = (dataset.image_shape(), start.images.size());
        ensure!(
            real[..] == synthetic[1..],
            "the real images are {real:?} (channels, height, width) and the synthetic ones {:?}; start from a set made \
             of the same data",
            &synthetic[1..]
        );
        ensure!(
            dataset.classes == start.classes && start.ipc > 0 && synthetic[0] == start.classes * start.ipc,
            "{} classes of real images, but {} synthetic images of {} classes with {} each; start from a set made of \
             the same data",
            dataset.classes,
            synthetic[0],
            start.classes,
            start.ipc
        );
        let positions = dataset.positions_by_class()?;
        if let Some(class) = positions.iter().position(Vec::is_empty) {
            anyhow::bail!("class {class} has no real image, so there is nothing to match; leave the class out");
        }
        Ok(RealImages { dataset, positions })
    }

    /// Draws `each` images of every class (all, of a class with fewer) from `stream(seed, "real", step)`.
    pub fn draw(&self, each: i64, seed: u64, step: u64) -> ClassImages {
        self.draw_for("real", each, seed, step)
    }

    /// `each` images of one class (all, of a class with fewer), \[B,C,H,W\], from `stream(seed, "real", step)`.
    pub fn draw_class(&self, class: usize, each: i64, seed: u64, step: u64) -> Tensor {
        let chosen = stream(seed, "real", step).choose(&self.positions[class], each as usize);
        self.dataset.floats_at(&Tensor::from_slice(&chosen))
    }

    /// [`draw`](Self::draw) from a stream of its own, for images with another purpose.
    pub fn draw_for(&self, purpose: &str, each: i64, seed: u64, step: u64) -> ClassImages {
        let mut stream = stream(seed, purpose, step);
        let mut drawn = Vec::new();
        let mut counts = Vec::new();
        for positions in &self.positions {
            let chosen = stream.choose(positions, each as usize);
            counts.push(chosen.len() as i64);
            drawn.extend(chosen);
        }
        ClassImages { images: self.dataset.floats_at(&Tensor::from_slice(&drawn)), counts }
    }
}
