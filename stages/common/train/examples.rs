//! Where the loop gets its batches from: a data set that stays as bytes until an image is wanted, or tensors.

use crate::artifact::Dataset;
use tch::{TchError, Tensor};

/// Labelled images that can be picked by position.
pub trait Examples {
    /// How many.
    fn count(&self) -> i64;
    /// The normalised images \[B,C,H,W\] and labels (\[B\] int64 or \[B,K\] probabilities) at these positions (\[B\]
    /// int64, on the images' device).
    fn at(&self, positions: &Tensor) -> Result<(Tensor, Tensor), TchError>;
    /// The positions' device.
    fn device(&self) -> tch::Device;
}

/// Images and labels in memory.
#[derive(Debug)]
pub struct Labelled {
    /// \[N,C,H,W\] float32, normalised.
    pub images: Tensor,
    /// \[N\] int64, or probabilities \[N,K\] float32.
    pub labels: Tensor,
}

impl Examples for Labelled {
    fn count(&self) -> i64 {
        self.images.size()[0]
    }

    fn at(&self, positions: &Tensor) -> Result<(Tensor, Tensor), TchError> {
        Ok((self.images.f_index_select(0, positions)?, self.labels.f_index_select(0, positions)?))
    }

    fn device(&self) -> tch::Device {
        self.images.device()
    }
}

impl Examples for Dataset {
    fn count(&self) -> i64 {
        self.len()
    }

    fn at(&self, positions: &Tensor) -> Result<(Tensor, Tensor), TchError> {
        Ok((self.floats_at(positions), self.labels.f_index_select(0, positions)?))
    }

    fn device(&self) -> tch::Device {
        self.images.device()
    }
}
