//! One student: a fresh network trained on some images and tested once, at the end. It continues inside its training
//! after an interruption. Which students there are, and what else their stage has to remember, is the stage's business.

use super::{EpochResult, Examples, LossReader, Observer, State, TrainingParams, evaluate, train_along};
use crate::common::metrics::TestScores;
use crate::common::network::Network;
use crate::common::stream::stream;
use crate::context::{Checkpoint, Context};
use anyhow::{Context as _, Result};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tch::Tensor;

/// What a student is given.
pub struct Lesson<'a> {
    /// The stage's surroundings.
    pub ctx: &'a Context,
    /// Which network.
    pub network: &'a Network,
    /// How it is trained.
    pub params: &'a TrainingParams,
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
    pub remember: &'a dyn Fn() -> Map<String, Value>,
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

impl Lesson<'_> {
    /// Trains and tests a student, from `state` if it was begun before.
    pub fn take(&self, state: Option<State>) -> Result<Student> {
        let state = match state {
            Some(state) => state,
            None => State::new(self.network.init(stream(self.seed, "init", 0).generator(), self.ctx.device)?),
        };
        let augment = self.params.augmentation(self.network, self.seed);
        let settings = self.params.settings(self.seed);
        let done = state.epoch * settings.steps_per_epoch(self.examples.count()) + state.batch;
        let mut watch = Watch { lesson: self, loss: LossReader::default(), done };
        let direction = self.params.objective.direction();
        let state =
            train_along(&direction, self.network, state, self.examples, &settings, augment.as_deref(), &mut watch)?;
        let test = evaluate(self.network, &state.parameters, self.test, || watch.tell(&state, None))?;
        let test = self.params.objective.scored(test);
        let last = state.history.last().context("no epoch was run")?;
        let (train_accuracy, loss) = (last.train_accuracy, last.loss);
        Ok(Student { train_accuracy, loss, test, epochs: state.history })
    }

    /// Where the student stood that a checkpoint was saved in.
    pub fn resume(network: &Network, checkpoint: &Checkpoint) -> Result<State> {
        State::restore(network, &checkpoint.tensors, &checkpoint.state["training"])
    }
}

struct Watch<'a> {
    lesson: &'a Lesson<'a>,
    loss: LossReader,
    done: u64,
}

impl Watch<'_> {
    fn tell(&self, state: &State, loss: Option<f64>) -> Result<()> {
        let Lesson { ctx, network, before, total, remember, .. } = *self.lesson;
        let step = before + self.done;
        ctx.step(step, total, "steps", loss, || {
            let mut tensors = IndexMap::new();
            let mut about = remember();
            about.insert("training".into(), state.store(network, &mut tensors));
            Checkpoint { step, tensors, state: about.into() }
        })
    }
}

impl Observer for Watch<'_> {
    fn step(&mut self, state: &State, done: u64, _total: u64, loss: &Tensor) -> Result<()> {
        self.done = done;
        let loss = self.loss.read(loss);
        self.tell(state, loss)
    }
}
