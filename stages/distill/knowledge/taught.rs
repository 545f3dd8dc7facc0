//! Examples whose labels bring the teacher's answers along, so that the training loop, which knows labels only, shuffles
//! both together. Where images are augmented there is nothing to bring: the teacher has to see what the student sees.

use crate::common::train::Examples;
use tch::{Device, Kind, TchError, Tensor};

/// Examples with or without answers.
pub struct Taught<'a> {
    /// The images and their labels.
    pub examples: &'a dyn Examples,
    /// The teacher's logits \[N,K\] for the images as they are, float32.
    pub answers: Option<Tensor>,
}

impl Taught<'_> {
    /// Labels as [`Examples::at`] gave them, or some of them: the plain ones, and the teacher's logits \[B,K\].
    pub fn apart(&self, labels: &Tensor) -> Result<(Tensor, Option<Tensor>), TchError> {
        let Some(answers) = &self.answers else { return Ok((labels.shallow_clone(), None)) };
        let classes = answers.size()[1];
        let width = labels.size()[1] - classes;
        let plain = labels.f_narrow(1, 0, width)?;
        let plain = if width == 1 { plain.f_squeeze_dim(1)?.f_to_kind(Kind::Int64)? } else { plain.f_contiguous()? };
        Ok((plain, Some(labels.f_narrow(1, width, classes)?)))
    }
}

impl Examples for Taught<'_> {
    fn count(&self) -> i64 {
        self.examples.count()
    }

    /// With answers, the labels are float32 \[B,1+K\] or \[B,K+K\]: the class, which float32 holds exactly, or the
    /// probabilities, then the teacher's logits.
    fn at(&self, positions: &Tensor) -> Result<(Tensor, Tensor), TchError> {
        let (images, labels) = self.examples.at(positions)?;
        let Some(answers) = &self.answers else { return Ok((images, labels)) };
        let labels = if labels.dim() == 1 { labels.f_unsqueeze(1)? } else { labels };
        let labels = labels.f_to_kind(Kind::Float)?;
        Ok((images, Tensor::f_cat(&[labels, answers.f_index_select(0, positions)?], 1)?))
    }

    fn device(&self) -> Device {
        self.examples.device()
    }
}
