//! Which images an expert sees in which epoch (Li et al., Prioritize Alignment in Dataset Distillation, 2024): it begins
//! with the easier ones of every class, hard ones join, and later the easiest leave. Pure arithmetic over ranks, where
//! rank 0 is the easiest image of a class.

use crate::artifact::{Dataset, Scores};
use crate::training::{Batch, Examples};
use anyhow::{Result, ensure};
use ddpipe_nn::augment::Augment;
use serde::Serialize;
use std::ops::Range;
use tch::{Device, TchError, Tensor};

/// What part of a class is in an epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Part {
    /// The easiest share.
    Easiest(f64),
    /// Everything.
    All,
    /// What is left without the easiest share.
    Without(f64),
}

impl Part {
    /// The ranks of a class of `count` images that are in, with shares of `of` images, fractions of an image cut off.
    /// The authors' code takes shares of 5,000 images however many there are; shares of `count` are meant.
    pub fn ranks(self, of: usize, count: usize) -> Range<usize> {
        let cut = |share: f64| ((share * of as f64) as usize).min(count);
        match self {
            Part::Easiest(share) => 0..cut(share),
            Part::All => 0..count,
            Part::Without(share) => cut(share)..count,
        }
    }
}

/// How the part changes from epoch to epoch.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DataSchedule {
    /// The easiest share that the first epoch has.
    pub init_share: f64,
    /// The epoch in which all are in; the share grows evenly up to it.
    pub all_epoch: u64,
    /// Shares of the easiest that are left out in the epochs after these, the last one passed counts.
    pub drop_epochs: Vec<u64>,
    /// One for each of them.
    pub drop_shares: Vec<f64>,
}

impl DataSchedule {
    /// The part of an epoch, from 0: up to `all_epoch` the easiest init + (1 - init) epoch / all_epoch; after it all,
    /// and after each of `drop_epochs` all without its share.
    pub fn part(&self, epoch: u64) -> Part {
        if epoch <= self.all_epoch {
            let grown = self.init_share + (1.0 - self.init_share) * epoch as f64 / self.all_epoch.max(1) as f64;
            return Part::Easiest(if self.all_epoch == 0 { 1.0 } else { grown.min(1.0) });
        }
        let passed = self.drop_epochs.iter().zip(&self.drop_shares).take_while(|(drop, _)| epoch > **drop);
        passed.last().map_or(Part::All, |(_, &share)| Part::Without(share))
    }

    /// Whether it says one thing only.
    pub fn check(&self) -> Result<()> {
        ensure!(
            self.drop_epochs.len() == self.drop_shares.len(),
            "{} drop_epochs, but {} drop_shares; give one share for each epoch",
            self.drop_epochs.len(),
            self.drop_shares.len()
        );
        ensure!(self.drop_epochs.is_sorted(), "drop_epochs {:?} go back; give them in order", self.drop_epochs);
        Ok(())
    }
}

/// The epochs of an expert: all images in each, or the parts of a schedule.
pub struct Curriculum {
    /// Positions of every class's images, the easiest first, and what is taken of them; none for all images.
    scheduled: Option<(DataSchedule, Vec<Vec<i64>>)>,
    /// Steps before each epoch, and after the last.
    steps: Vec<u64>,
}

impl Curriculum {
    /// So many epochs over `real` in batches of `batch_size`, by a schedule and the scores of these images, if any.
    pub fn new(
        real: &Dataset,
        epochs: u64,
        batch_size: i64,
        scheduled: Option<(DataSchedule, Scores)>,
    ) -> Result<Self> {
        let scheduled = match scheduled {
            None => None,
            Some((schedule, scores)) => {
                scores.are_of(real)?;
                schedule.check()?;
                Some((schedule, scores.easy_to_hard()?))
            }
        };
        let mut curriculum = Curriculum { scheduled, steps: vec![0] };
        let mut done = 0u64;
        for epoch in 0..epochs {
            let images = curriculum.count(real, epoch);
            ensure!(
                images > 0,
                "the schedule leaves no image in epoch {epoch}; a larger init_share or smaller drop_shares keep some"
            );
            done += (images as u64).div_ceil(batch_size.max(1) as u64);
            curriculum.steps.push(done);
        }
        Ok(curriculum)
    }

    /// Steps before an epoch.
    pub fn before(&self, epoch: u64) -> u64 {
        self.steps[(epoch as usize).min(self.steps.len() - 1)]
    }

    /// Steps of all epochs.
    pub fn total(&self) -> u64 {
        self.before(u64::MAX)
    }

    /// Images in an epoch.
    fn count(&self, real: &Dataset, epoch: u64) -> usize {
        match &self.scheduled {
            None => real.len().max(0) as usize,
            Some((schedule, classes)) => {
                let part = schedule.part(epoch);
                classes.iter().map(|class| part.ranks(class.len(), class.len()).len()).sum()
            }
        }
    }

    /// The images of an epoch, class by class, in the order of the data set within each.
    pub fn subset<'a>(&self, real: &'a Dataset, epoch: u64) -> Result<Subset<'a>> {
        let positions = match &self.scheduled {
            Some((schedule, classes)) if schedule.part(epoch) != Part::All => {
                let part = schedule.part(epoch);
                let taken = classes.iter().flat_map(|class| class[part.ranks(class.len(), class.len())].iter());
                let mut positions: Vec<i64> = taken.copied().collect();
                positions.sort_unstable();
                Some(Tensor::f_from_slice(&positions)?.f_to_device(Examples::device(real))?)
            }
            _ => None,
        };
        Ok(Subset { real, positions })
    }
}

/// Some of the images of a data set, or all.
pub struct Subset<'a> {
    real: &'a Dataset,
    /// \[n\] int64; none for all.
    positions: Option<Tensor>,
}

impl Examples for Subset<'_> {
    fn count(&self) -> i64 {
        self.positions.as_ref().map_or(self.real.len(), |positions| positions.size()[0])
    }

    fn at(&self, positions: &Tensor) -> Result<Batch, TchError> {
        match &self.positions {
            None => self.real.at(positions),
            Some(taken) => self.real.at(&taken.f_index_select(0, positions)?),
        }
    }

    fn device(&self) -> Device {
        Examples::device(self.real)
    }
}

/// An augmentation for an epoch whose steps the loop counts as if all epochs before it had been as long: the draws of a
/// step are those of its place in the whole training.
pub struct Placed<'a> {
    /// The augmentation itself.
    pub augment: &'a dyn Augment,
    /// The step that the loop counts first.
    pub counted: u64,
    /// The step that it is.
    pub is: u64,
}

impl Augment for Placed<'_> {
    fn apply(&self, images: &Tensor, step: u64) -> Result<Tensor> {
        self.augment.apply(images, step - self.counted + self.is)
    }
}
