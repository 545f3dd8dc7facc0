//! The images that an expert sees in each epoch (Li et al., Prioritize Alignment in Dataset Distillation, 2024): it
//! begins with the easier images of every class, harder ones are added, and later the easiest are left out. Pure
//! arithmetic over ranks, where rank 0 is the easiest image of a class.

use crate::artifact::{Dataset, Scores};
use crate::training::{Batch, Examples};
use anyhow::{Result, ensure};
use ddpipe_nn::augment::Augment;
use serde::Serialize;
use std::ops::Range;
use tch::{Device, TchError, Tensor};

/// The part of a class's images that an epoch uses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Part {
    /// The easiest share of the images.
    Easiest(f64),
    /// All images.
    All,
    /// All images without the easiest share.
    Without(f64),
}

impl Part {
    /// The range of ranks that the part covers in a class of `count` images. Shares are shares of `of` images;
    /// fractions of an image are cut off. The authors' code takes shares of 5,000 images regardless of the size of the
    /// class; shares of `count` are meant.
    pub fn ranks(self, of: usize, count: usize) -> Range<usize> {
        let cut = |share: f64| ((share * of as f64) as usize).min(count);
        match self {
            Part::Easiest(share) => 0..cut(share),
            Part::All => 0..count,
            Part::Without(share) => cut(share)..count,
        }
    }
}

/// The part of the images that each epoch uses.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DataSchedule {
    /// The easiest share, which the first epoch uses.
    pub init_share: f64,
    /// The epoch in which all images are used; the share grows linearly up to it.
    pub all_epoch: u64,
    /// The epochs after which a share of the easiest images is left out; the last one that has passed applies.
    pub drop_epochs: Vec<u64>,
    /// The share that is left out after each of `drop_epochs`.
    pub drop_shares: Vec<f64>,
}

impl DataSchedule {
    /// The part that an epoch, counted from 0, uses. Up to `all_epoch` it is the easiest init + (1 - init) epoch /
    /// all_epoch; later it is all images, and after each of `drop_epochs` all without its share.
    pub fn part(&self, epoch: u64) -> Part {
        if epoch <= self.all_epoch {
            let grown = self.init_share + (1.0 - self.init_share) * epoch as f64 / self.all_epoch.max(1) as f64;
            return Part::Easiest(if self.all_epoch == 0 { 1.0 } else { grown.min(1.0) });
        }
        let passed = self.drop_epochs.iter().zip(&self.drop_shares).take_while(|(drop, _)| epoch > **drop);
        passed.last().map_or(Part::All, |(_, &share)| Part::Without(share))
    }

    /// An error if `drop_epochs` and `drop_shares` differ in length, or if `drop_epochs` is not ascending.
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

/// The images of every epoch of an expert: all images in each, or the parts of a schedule.
pub struct Curriculum {
    /// The schedule, and the positions of every class's images, easiest first; `None` if every epoch uses all images.
    scheduled: Option<(DataSchedule, Vec<Vec<i64>>)>,
    /// The number of optimiser steps before each epoch, and after the last.
    steps: Vec<u64>,
}

impl Curriculum {
    /// A curriculum of `epochs` epochs over `real` in batches of `batch_size`. `scheduled` holds a schedule and the
    /// difficulty scores of these images, if any. An error if the scores are not of `real`, or if an epoch has no
    /// image.
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

    /// The number of optimiser steps before an epoch.
    pub fn before(&self, epoch: u64) -> u64 {
        self.steps[(epoch as usize).min(self.steps.len() - 1)]
    }

    /// The number of optimiser steps of all epochs.
    pub fn total(&self) -> u64 {
        self.before(u64::MAX)
    }

    /// The number of images in an epoch.
    fn count(&self, real: &Dataset, epoch: u64) -> usize {
        match &self.scheduled {
            None => real.len().max(0) as usize,
            Some((schedule, classes)) => {
                let part = schedule.part(epoch);
                classes.iter().map(|class| part.ranks(class.len(), class.len()).len()).sum()
            }
        }
    }

    /// The images of an epoch, in the order of the data set.
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
    /// \[n\] int64, the positions of the images in `real`; `None` for all images.
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

/// An augmentation whose step numbers are shifted. The loop counts the steps of an epoch as if all earlier epochs had
/// been as long; `Placed` translates them to the steps of the whole training, from which the augmentation draws.
pub struct Placed<'a> {
    /// The augmentation whose steps are shifted.
    pub augment: &'a dyn Augment,
    /// The number that the loop gives to the first step of the epoch.
    pub counted: u64,
    /// The number of that step in the whole training.
    pub is: u64,
}

impl Augment for Placed<'_> {
    fn apply(&self, images: &Tensor, step: u64) -> Result<Tensor> {
        self.augment.apply(images, step - self.counted + self.is)
    }
}
