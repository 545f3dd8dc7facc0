//! One student: a fresh network trained on the small set and tested once, at the end. Its random streams have a seed
//! of their own, drawn from the stage's seed and the student's number.

use crate::artifact::Dataset;
use crate::common::metrics::TestScores;
use crate::common::network::Network;
use crate::common::stream::stream;
use crate::common::train::{self, EpochResult, LossReader, Observer, State, TrainingParams, TrainingSet};
use crate::context::{Checkpoint, Context};
use anyhow::{Context as _, Result};
use indexmap::IndexMap;
use rand::Rng;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tch::Tensor;

/// What is the same for all students.
pub(super) struct Course<'a> {
    pub ctx: &'a Context,
    pub network: &'a Network,
    pub set: &'a TrainingSet,
    pub test: &'a Dataset,
    pub params: &'a TrainingParams,
    pub students: u64,
    pub seconds: &'a dyn Fn() -> f64,
}

/// A student that was tested.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Finished {
    /// Of its last epoch.
    pub train_accuracy: f64,
    /// Of its last epoch.
    pub loss: f64,
    /// On the test images.
    pub test: TestScores,
    /// Its training.
    pub epochs: Vec<EpochResult>,
}

impl Finished {
    pub fn accuracy(&self) -> f64 {
        self.test.confusion.accuracy()
    }
}

impl Course<'_> {
    /// Trains and tests the student that comes after `finished`, from `state` if it was begun before.
    pub fn take(&self, finished: &[Finished], state: Option<State>) -> Result<Finished> {
        let seed = stream(self.ctx.seed, "student", finished.len() as u64).generator().random();
        let state = match state {
            Some(state) => state,
            None => State::new(self.network.init(stream(seed, "init", 0).generator(), self.ctx.device)?),
        };
        let augment = self.params.augmentation(self.network, seed);
        let settings = self.params.settings(seed);
        let images = self.set.examples().count();
        let done = state.epoch * settings.steps_per_epoch(images) + state.batch;
        let mut watch =
            Watch { course: self, finished, loss: LossReader::default(), done, total: settings.steps(images) };
        let state = train::train(self.network, state, self.set.examples(), &settings, augment.as_deref(), &mut watch)?;
        let test = train::evaluate(self.network, &state.parameters, self.test, || {
            let (step, total) = watch.place();
            self.ctx.step(step, total, "steps", None, || watch.checkpoint(&state))
        })?;
        let last = state.history.last().context("no epoch was run")?;
        let (train_accuracy, loss) = (last.train_accuracy, last.loss);
        Ok(Finished { train_accuracy, loss, test, epochs: state.history })
    }
}

struct Watch<'a> {
    course: &'a Course<'a>,
    finished: &'a [Finished],
    loss: LossReader,
    done: u64,
    total: u64,
}

impl Watch<'_> {
    /// Steps done and to do, over all students.
    fn place(&self) -> (u64, u64) {
        (self.finished.len() as u64 * self.total + self.done, self.course.students * self.total)
    }

    fn checkpoint(&self, state: &State) -> Checkpoint {
        let mut tensors = IndexMap::new();
        let training = state.store(self.course.network, &mut tensors);
        let seconds = (self.course.seconds)();
        let about = json!({ "finished": self.finished, "training": training, "seconds": seconds });
        Checkpoint { step: self.place().0, tensors, state: about }
    }
}

impl Observer for Watch<'_> {
    fn step(&mut self, state: &State, done: u64, total: u64, loss: &Tensor) -> Result<()> {
        (self.done, self.total) = (done, total);
        let loss = self.loss.read(loss);
        let (step, total) = self.place();
        self.course.ctx.step(step, total, "steps", loss, || self.checkpoint(state))
    }
}
