//! One student: a network with fresh weights, trained on some images and tested once, at the end. An interrupted
//! training continues where it stopped. The stage decides which students there are, and what else a checkpoint holds.

use super::{EpochResult, Examples, Objective, Phase, Progress, State, Training, TrainingParams, evaluate};
use crate::context::{Checkpoint, Context};
use anyhow::{Context as _, Result};
use ddpipe_nn::metrics::TestScores;
use ddpipe_nn::network::Network;
use ddpipe_nn::precision::Precision;
use ddpipe_nn::stream::stream;
use serde::{Deserialize, Serialize};

/// The training and the test of one student.
pub struct StudentRun<'a> {
    /// The context of the stage.
    pub ctx: &'a Context,
    /// The student's network.
    pub network: &'a Network,
    /// The settings of its training.
    pub params: &'a TrainingParams,
    /// The objective of its training.
    pub objective: Objective,
    /// The training images and labels.
    pub examples: &'a dyn Examples,
    /// The test images and their labels \[N\] int64.
    pub test: &'a dyn Examples,
    /// The precision of the test.
    pub precision: Precision,
    /// The seed of the random streams of this student.
    pub seed: u64,
    /// The number of steps of all earlier students.
    pub before: u64,
    /// The number of steps of all students together.
    pub total: u64,
    /// Adds to a checkpoint what the stage needs to find this student again.
    pub save: &'a dyn Fn(&mut Checkpoint),
}

/// The results of a student that was trained and tested.
#[derive(Debug, Serialize, Deserialize)]
pub struct Student {
    /// The training accuracy of its last epoch, from 0 to 1.
    pub train_accuracy: f64,
    /// The training loss of its last epoch.
    pub loss: f64,
    /// The scores on the test images.
    pub test: TestScores,
    /// The results of the epochs of its training.
    pub epochs: Vec<EpochResult>,
}

impl Student {
    /// The share of the test images that it classified correctly.
    pub fn accuracy(&self) -> f64 {
        self.test.confusion.accuracy()
    }
}

impl StudentRun<'_> {
    /// Trains and tests a student, continuing from `state` if it was interrupted.
    pub fn run(&self, state: Option<State>) -> Result<Student> {
        let state = match state {
            Some(state) => state,
            None => State::new(self.network.init(stream(self.seed, "init", 0).generator(), self.ctx.device)?),
        };
        let augment = self.params.augmentation(self.network, self.seed);
        let settings = self.params.settings(self.seed);
        let images = self.examples.count();
        let phase = Phase { network: self.network.clone(), settings: settings.clone() };
        let training = Training {
            phases: &[phase],
            direction: &|network, parameters, batch, chunk| {
                self.objective.gradient(None, network, parameters, batch, chunk)
            },
            examples: self.examples,
            augment: augment.as_deref(),
        };
        let mut progress =
            Progress::new(self.ctx, self.network, self.total, |state: &State| settings.done(state, images))
                .after(self.before)
                .saving(|checkpoint, _| {
                    (self.save)(checkpoint);
                    Ok(())
                });
        let state = training.run(state, &mut progress)?;
        let test = self.precision.pass(&state.parameters, |rounded| {
            evaluate(self.network, rounded, self.test, || progress.report().tell(&state, None))
        })?;
        let test = self.objective.scored(test);
        let last = state.history.last().context("no epoch was run")?;
        let (train_accuracy, loss) = (last.train_accuracy, last.loss);
        Ok(Student { train_accuracy, loss, test, epochs: state.history })
    }
}
