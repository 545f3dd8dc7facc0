//! One student: a fresh network trained on some images and tested once, at the end. It continues inside its training
//! after an interruption. Which students there are, and what else their stage has to remember, is the stage's business.

use super::{EpochResult, Examples, Objective, Phase, Progress, State, Training, TrainingParams, evaluate};
use crate::context::{Checkpoint, Context};
use anyhow::{Context as _, Result};
use ddpipe_nn::metrics::TestScores;
use ddpipe_nn::network::Network;
use ddpipe_nn::stream::stream;
use serde::{Deserialize, Serialize};

/// The training and the test of one student.
pub struct StudentRun<'a> {
    /// The stage's surroundings.
    pub ctx: &'a Context,
    /// The student's network.
    pub network: &'a Network,
    /// The settings of its training.
    pub params: &'a TrainingParams,
    /// What its training makes smaller.
    pub objective: Objective,
    /// What it learns from.
    pub examples: &'a dyn Examples,
    /// What it is tested on, labels \[N\] int64.
    pub test: &'a dyn Examples,
    /// The seed of the student's own random streams.
    pub seed: u64,
    /// Steps that the students before it took.
    pub before: u64,
    /// Steps of all students together.
    pub total: u64,
    /// What the stage puts into a checkpoint beside the training, to find back to this student.
    pub save: &'a dyn Fn(&mut Checkpoint),
}

/// A student that was tested.
#[derive(Debug, Serialize, Deserialize)]
pub struct Student {
    /// Of its last epoch.
    pub train_accuracy: f64,
    /// Of its last epoch.
    pub loss: f64,
    /// On the test images.
    pub test: TestScores,
    /// Its training.
    pub epochs: Vec<EpochResult>,
}

impl Student {
    /// Share of the test images that it classified rightly.
    pub fn accuracy(&self) -> f64 {
        self.test.confusion.accuracy()
    }
}

impl StudentRun<'_> {
    /// Trains and tests a student, from `state` if it was begun before.
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
        let test = evaluate(self.network, &state.parameters, self.test, || progress.report().tell(&state, None))?;
        let test = self.objective.scored(test);
        let last = state.history.last().context("no epoch was run")?;
        let (train_accuracy, loss) = (last.train_accuracy, last.loss);
        Ok(Student { train_accuracy, loss, test, epochs: state.history })
    }
}
