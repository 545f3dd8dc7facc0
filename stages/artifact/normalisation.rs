//! How pixels become what networks see, and how that becomes pixels again: mean and standard deviation per channel, and
//! a whitening where a data set asks for one. It travels from a data set to every synthetic set made of it.

use super::Whitening;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// What pixels in \[0,1\] are normalised with, and pictures undo.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Normalisation {
    /// One mean per channel.
    pub mean: Vec<f64>,
    /// One standard deviation per channel, above zero.
    pub std: Vec<f64>,
    /// What comes after mean and std. Not part of the description in an artifact's header: its tensors lie beside the
    /// images, and a set without one has the same bytes as before there was any.
    #[serde(skip)]
    pub whitening: Option<Whitening>,
}

impl Normalisation {
    /// Mean and standard deviation per channel, no whitening.
    pub fn new(mean: Vec<f64>, std: Vec<f64>) -> Self {
        Normalisation { mean, std, whitening: None }
    }

    /// Leaves pixels as they are.
    pub fn identity(channels: usize) -> Self {
        Self::new(vec![0.0; channels], vec![1.0; channels])
    }

    /// (x - mean) / std for images in \[0,1\], \[N,C,H,W\] float; whitened where there is a whitening.
    pub fn apply(&self, images: &Tensor) -> Tensor {
        let standard = (images - self.channel(&self.mean, images)) / self.channel(&self.std, images);
        match &self.whitening {
            Some(whitening) => whitening.apply(&standard),
            None => standard,
        }
    }

    /// x * std + mean: back to \[0,1\]; the whitening is undone before.
    pub fn undo(&self, images: &Tensor) -> Tensor {
        let restored = self.whitening.as_ref().map(|whitening| whitening.undo(images));
        let standard = restored.as_ref().unwrap_or(images);
        standard * self.channel(&self.std, images) + self.channel(&self.mean, images)
    }

    fn channel(&self, values: &[f64], like: &Tensor) -> Tensor {
        let values = Tensor::from_slice(values).to_kind(like.kind()).to_device(like.device());
        values.view([1, -1, 1, 1])
    }
}
