//! Examples that bring the teacher's logits along with each batch. Where images are augmented there is nothing to bring:
//! the teacher has to see what the student sees.

use crate::training::{Batch, Examples};
use tch::{Device, TchError, Tensor};

/// Examples with or without the teacher's logits.
pub struct WithTeacher<'a> {
    /// The images and their labels.
    pub examples: &'a dyn Examples,
    /// The teacher's logits \[N,K\] for the images as they are, float32.
    pub teacher_logits: Option<Tensor>,
}

impl Examples for WithTeacher<'_> {
    fn count(&self) -> i64 {
        self.examples.count()
    }

    /// The batch, with the teacher's logits \[B,K\] as its `extra` where they are known.
    fn at(&self, positions: &Tensor) -> Result<Batch, TchError> {
        let batch = self.examples.at(positions)?;
        let extra = self.teacher_logits.as_ref().map(|logits| logits.f_index_select(0, positions)).transpose()?;
        Ok(Batch { extra, ..batch })
    }

    fn device(&self) -> Device {
        self.examples.device()
    }
}
