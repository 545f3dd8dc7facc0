//! A step's batches of several students, one after the other.

use crate::training::{Batch, Examples, Labeller};
use anyhow::Result;
use ddpipe_nn::augment::{Augment, apply_by_group};
use tch::{Kind, TchError, Tensor};

/// Of every student, `size` images from this place of its order \[S,N\] on, or fewer at the end of it.
pub fn batch(orders_SN: &Tensor, examples: &dyn Examples, start: i64, size: i64) -> Result<StackedBatch, TchError> {
    let (students, count) = orders_SN.size2()?;
    let positions = orders_SN.f_narrow(1, start, size.min(count - start))?.f_reshape([-1])?;
    Ok(StackedBatch { students, batch: examples.at(&positions)? })
}

/// As many images of every student, student after student.
pub struct StackedBatch {
    /// S.
    pub students: i64,
    /// Images \[S*B,C,H,W\] and labels, \[S*B\] int64 or \[S*B,K\].
    pub batch: Batch,
}

impl StackedBatch {
    /// The number of images of one student.
    pub fn each(&self) -> i64 {
        self.batch.len() / self.students.max(1)
    }

    /// The images with a teacher's labels, of all students at once.
    pub fn labelled(self, labeller: &Labeller) -> Result<Self> {
        let labels = labeller.labels(&self.batch.images)?;
        Ok(StackedBatch { batch: Batch { labels, ..self.batch }, ..self })
    }

    /// The images (and labels that fit them) under each student's own augmentation. Augmentations that consist of
    /// operations act on all students together, others on one after another.
    pub fn augmented(self, augments: &[Box<dyn Augment>], classes: i64, step: u64) -> Result<Self> {
        let (students, each) = (self.students, self.each());
        let mut shape = self.batch.images.size();
        shape[0] = each;
        let drawn: Option<Vec<_>> = augments.iter().map(|augment| augment.operations(&shape, step)).collect();
        if let Some((_, settings)) = drawn.as_ref().and_then(|drawn| drawn.first()) {
            let groups = drawn.iter().flatten().map(|(operations, _)| (operations.as_slice(), each));
            let images = apply_by_group(&self.batch.images, groups, settings)?;
            return Ok(StackedBatch { students, batch: Batch { images, ..self.batch } });
        }
        let parts = self.batch.split(&vec![each; students as usize])?;
        let changed = parts.iter().zip(augments);
        let changed: Vec<(Tensor, Tensor)> = changed
            .map(|(part, augment)| augment.batch(&part.images, &part.labels, classes, step))
            .collect::<Result<_>>()?;
        let (images, labels): (Vec<Tensor>, Vec<Tensor>) = changed.into_iter().unzip();
        // An augmentation that mixes some of the batches has made probabilities of their labels.
        let soft = labels.iter().any(|labels| labels.dim() == 2);
        let alike = labels.iter().map(|labels| match soft && labels.dim() == 1 {
            true => labels.f_one_hot(classes)?.f_to_kind(Kind::Float),
            false => Ok(labels.shallow_clone()),
        });
        let labels = Tensor::f_cat(&alike.collect::<Result<Vec<_>, _>>()?, 0)?;
        Ok(StackedBatch { students, batch: Batch { images: Tensor::f_cat(&images, 0)?, labels, ..self.batch } })
    }
}
