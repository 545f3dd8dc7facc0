//! The normalisation of images and its inverse: mean and standard deviation per channel, and optionally a whitening. A
//! data set passes it on to every synthetic set that is made from it. `parameters.rs` computes it as the decoders'
//! parameters say, from the moments of pixels in `moments.rs`; `whitening.rs` is the linear map.

pub mod moments;
mod parameters;
mod whitening;

pub use parameters::{NormalisationSpec, Normalise, WhiteningMethod, scalars};
pub use whitening::Whitening;

use ddpipe_nn::transfer;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// Mean, standard deviation and whitening of the normalisation of pixels in \[0,1\].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Normalisation {
    /// One mean per channel.
    pub mean: Vec<f64>,
    /// One standard deviation per channel, above zero.
    pub std: Vec<f64>,
    /// The whitening after mean and std, if any. It is not part of the description in an artifact's header: its tensors
    /// are stored beside the images, and a set without whitening keeps the bytes of older versions.
    #[serde(skip)]
    pub whitening: Option<Whitening>,
}

impl Normalisation {
    /// Mean and standard deviation per channel, no whitening.
    pub fn new(mean: Vec<f64>, std: Vec<f64>) -> Self {
        Normalisation { mean, std, whitening: None }
    }

    /// A normalisation that does not change pixels: mean 0 and standard deviation 1.
    pub fn identity(channels: usize) -> Self {
        Self::new(vec![0.0; channels], vec![1.0; channels])
    }

    /// \[N,C,H,W\] float, the normalised images (x - mean) / std, whitened if there is a whitening, for images x in
    /// \[0,1\].
    pub fn apply(&self, images: &Tensor) -> Tensor {
        let standard = (images - self.channel(&self.mean, images)) / self.channel(&self.std, images);
        match &self.whitening {
            Some(whitening) => whitening.apply(&standard),
            None => standard,
        }
    }

    /// \[N,C,H,W\] float, the images x * std + mean in \[0,1\], for normalised images x; a whitening is undone first.
    pub fn undo(&self, images: &Tensor) -> Tensor {
        let restored = self.whitening.as_ref().map(|whitening| whitening.undo(images));
        let standard = restored.as_ref().unwrap_or(images);
        standard * self.channel(&self.std, images) + self.channel(&self.mean, images)
    }

    fn channel(&self, values: &[f64], like: &Tensor) -> Tensor {
        transfer::constant(values, like.kind(), like.device()).view([1, -1, 1, 1])
    }
}
