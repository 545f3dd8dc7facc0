//! Labels by a teacher: once for every image, or anew for every batch as it is shown to a student (SRe2L, RDED).

use super::{Batch, Examples, Teacher};
use anyhow::Result;
use ddpipe_nn::augment::Augment;
use ddpipe_nn::loss::softened;
use tch::{Device, TchError, Tensor};

/// Examples with other labels than their own.
pub struct Relabelled<'a> {
    /// The images.
    pub examples: &'a dyn Examples,
    /// The labels of all of them: \[N\] int64 or \[N,K\].
    pub labels: Tensor,
}

impl Examples for Relabelled<'_> {
    fn count(&self) -> i64 {
        self.examples.count()
    }

    fn at(&self, positions: &Tensor) -> Result<Batch, TchError> {
        let batch = self.examples.at(positions)?;
        Ok(Batch { labels: self.labels.f_index_select(0, positions)?, ..batch })
    }

    fn votes_at(&self, positions: &Tensor) -> Result<Option<Tensor>, TchError> {
        self.examples.votes_at(positions)
    }

    fn device(&self) -> Device {
        self.examples.device()
    }
}

/// A teacher that labels every batch.
#[derive(Debug)]
pub struct Labeller {
    /// Who is asked.
    pub teacher: Teacher,
    /// T: labels are softmax(logits / T).
    pub temperature: f64,
}

impl Labeller {
    /// The labels \[B,K\] of images, as they are shown.
    pub fn labels(&self, images: &Tensor) -> Result<Tensor, TchError> {
        tch::no_grad(|| softened(&self.teacher.logits(images)?, self.temperature))
    }

    /// The same augmentation, or none, with the teacher's labels for what comes out of it.
    pub fn after<'a>(&'a self, augment: Option<Box<dyn Augment + 'a>>) -> Box<dyn Augment + 'a> {
        Box::new(Labelled { labeller: self, augment })
    }
}

struct Labelled<'a> {
    labeller: &'a Labeller,
    augment: Option<Box<dyn Augment + 'a>>,
}

impl Augment for Labelled<'_> {
    fn apply(&self, images: &Tensor, step: u64) -> Result<Tensor> {
        match &self.augment {
            Some(augment) => augment.apply(images, step),
            None => Ok(images.shallow_clone()),
        }
    }

    fn batch(&self, images: &Tensor, labels: &Tensor, classes: i64, step: u64) -> Result<(Tensor, Tensor)> {
        let images = match &self.augment {
            Some(augment) => augment.batch(images, labels, classes, step)?.0,
            None => images.shallow_clone(),
        };
        let labels = self.labeller.labels(&images)?;
        Ok((images, labels))
    }
}
