//! What the training loop asks of an augmentation. The augmentations themselves lie elsewhere.

use anyhow::Result;
use tch::Tensor;

/// Changes a batch of training images.
pub trait Augment {
    /// The images \[B,C,H,W\] of training step `step`, counted over all epochs, changed. Every random draw comes from
    /// a stream of that step, so that a training which continues sees the same images.
    fn apply(&self, images: &Tensor, step: u64) -> Result<Tensor>;
}

impl<F: Fn(&Tensor, u64) -> Result<Tensor>> Augment for F {
    fn apply(&self, images: &Tensor, step: u64) -> Result<Tensor> {
        self(images, step)
    }
}
