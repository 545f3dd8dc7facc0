//! The settings of a training, or of one phase of it, and how long it is by them.

use super::State;
use ddpipe_nn::optim::{Average, Course, Descent, Length, Schedule, Sgd};

/// The settings of a training, or of one phase of it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The number of epochs for the schedule; [`Schedule::epochs`] of them are run.
    pub epochs: u64,
    /// The number of images per step; the last batch of an epoch may be smaller.
    pub batch_size: i64,
    /// The initial learning rate.
    pub rate: f64,
    /// How the learning rate changes from epoch to epoch.
    pub schedule: Schedule,
    /// What else there is to say of it.
    pub course: Course,
    /// The optimiser.
    pub optimiser: Descent,
    /// The average of the parameters that is what the training gives, if it is not the last ones.
    pub average: Option<Average>,
    /// The share of the values that [`Network::dropout`](ddpipe_nn::network::Network::dropout) sets to zero.
    pub dropout: f64,
    /// Whether running statistics move as if every batch were seen twice in training mode.
    pub seen_twice: bool,
    /// The seed of the streams that shuffle the images and draw what dropout keeps.
    pub seed: u64,
    /// How many steps the training has, where it is not whole epochs.
    pub planned_steps: Option<u64>,
    /// Ends the training after this many steps, in the middle of an epoch if need be; `None` for no limit. The learning
    /// rates do not change by it.
    pub max_steps: Option<u64>,
}

impl Settings {
    /// Plain stochastic gradient descent at one rate.
    pub fn plain(epochs: u64, batch_size: i64, rate: f64, sgd: Sgd, seed: u64) -> Self {
        Settings {
            epochs,
            batch_size,
            rate,
            schedule: Schedule::Constant,
            course: Course::default(),
            optimiser: sgd.into(),
            average: None,
            dropout: 0.0,
            seen_twice: false,
            seed,
            planned_steps: None,
            max_steps: None,
        }
    }

    /// The number of steps of one epoch over `images` images.
    pub fn steps_per_epoch(&self, images: i64) -> u64 {
        (images.max(0) as u64).div_ceil(self.batch_size.max(1) as u64)
    }

    /// The number of steps that a training in this state has done, at most [`steps`](Self::steps).
    pub fn done(&self, state: &State, images: i64) -> u64 {
        state.epoch * self.steps_per_epoch(images) + state.batch
    }

    /// The number of steps of the whole training on `images` images.
    pub fn steps(&self, images: i64) -> u64 {
        let steps = self.length(images).steps;
        self.max_steps.map_or(steps, |most| most.min(steps))
    }

    /// How long the training is by the learning rate's reckoning.
    pub fn length(&self, images: i64) -> Length {
        let batches = self.steps_per_epoch(images);
        let steps = self.schedule.epochs(self.epochs) * batches;
        let steps = self.planned_steps.map_or(steps, |planned| planned.min(steps));
        Length { epochs: self.epochs, batches, steps }
    }
}
