//! The augmentation of the trajectory-matching line (MTT, DATM, PAD): DSA with a draw of its own for every image, in this
//! line's convention of the sampling grid.

use super::{Augment, Mode, Operation, Settings, Sharing, Strategy, apply};
use crate::stream::{Stream, stream};
use anyhow::Result;
use tch::Tensor;

/// The strength of the operations: -1 and 1 are the centres of the border pixels.
pub fn settings() -> Settings {
    Settings { align_corners: true, ..Settings::default() }
}

/// One family of the strategy for a batch of `images` images of the shape \[M,C,H,W\], with a draw for each of them.
pub fn operations(
    strategy: &Strategy,
    images: i64,
    shape: &[i64],
    settings: &Settings,
    draws: &mut Stream,
) -> Vec<Operation> {
    strategy.draw(Mode::Single, Sharing::PerImage(images), (shape[2], shape[3]), settings, draws.generator())
}

/// The augmentation of an expert's training on real images: draws from `stream(seed, "augment", step)`.
#[derive(Debug)]
pub struct TrajectoryAugment {
    /// What is drawn from.
    pub strategy: Strategy,
    /// The expert's seed.
    pub seed: u64,
}

impl Augment for TrajectoryAugment {
    fn apply(&self, images: &Tensor, step: u64) -> Result<Tensor> {
        let size = images.size();
        let settings = settings();
        let drawn = operations(&self.strategy, size[0], &size, &settings, &mut stream(self.seed, "augment", step));
        Ok(apply(images, &drawn, &settings))
    }
}
