//! One student: a network with fresh weights, trained on some images and tested once, at the end. An interrupted
//! training continues where it stopped. The stage decides which students there are, and what else a checkpoint holds.

use super::{
    Divergence, EpochResult, Examples, Labeller, Objective, Phase, Progress, State, Training, TrainingParams, evaluate,
};
use crate::context::{Checkpoint, Context};
use anyhow::Result;
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
    /// Labels every batch as it is shown, where a teacher does.
    pub labeller: Option<&'a Labeller>,
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
    /// What happens when the loss is no longer finite: the stage fails, or the student is tested as it is.
    pub divergence: Divergence,
    /// Adds to a checkpoint what the stage needs to find this student again.
    pub save: &'a dyn Fn(&mut Checkpoint),
}

/// The results of a student that was trained and tested.
#[derive(Debug, Serialize, Deserialize)]
pub struct Student {
    /// The training accuracy of its last epoch, from 0 to 1; none of one that diverged.
    pub train_accuracy: Option<f64>,
    /// The training loss of its last epoch; none of one that diverged.
    pub loss: Option<f64>,
    /// The scores on the test images.
    pub test: TestScores,
    /// The results of the epochs of its training, as far as the loss was finite.
    pub epochs: Vec<EpochResult>,
    /// The epoch in which the loss was no longer finite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diverged: Option<u64>,
}

impl Student {
    /// One with these scores and epochs, that diverged in an epoch or not.
    pub(super) fn of(test: TestScores, epochs: Vec<EpochResult>, diverged: Option<u64>) -> Self {
        let last = epochs.last().filter(|_| diverged.is_none());
        let (train_accuracy, loss) = (last.map(|last| last.train_accuracy), last.map(|last| last.loss));
        Student { train_accuracy, loss, test, epochs, diverged }
    }

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
        let augment = match self.labeller {
            Some(labeller) => Some(labeller.after(augment)),
            None => augment,
        };
        let settings = self.params.settings(self.seed);
        let images = self.examples.count();
        let steps = settings.steps(images);
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
            Progress::new(self.ctx, self.network, self.total, |state: &State| settings.done(state, images).min(steps))
                .after(self.before)
                .when_diverged(self.divergence)
                .saving(|checkpoint, _| {
                    (self.save)(checkpoint);
                    Ok(())
                });
        let state = training.run(state, &mut progress)?;
        let diverged = state.diverged()?.then_some(state.epoch);
        let test = self.precision.pass(&state.parameters, |rounded| {
            evaluate(self.network, rounded, self.test, || progress.report().tell(&state, None))
        })?;
        let test = self.objective.scored(test);
        Ok(Student::of(test, state.history, diverged))
    }
}
