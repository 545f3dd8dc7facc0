//! Watches a student's training: progress, checkpoints, and the measurements on test images after every epoch.

use super::outcome::Likeness;
use super::teacher::logits_of;
use crate::artifact::Dataset;
use crate::common::metrics::TestScores;
use crate::common::network::Network;
use crate::common::train::{self, EpochResult, LossReader, Observer, State};
use crate::context::{Checkpoint, Context};
use anyhow::Result;
use indexmap::IndexMap;
use serde_json::{Map, Value};
use std::cell::Cell;
use std::time::Instant;
use tch::{Kind, Tensor};

/// The seconds of a stage, over all its interruptions.
pub struct Clock {
    started: Instant,
    before: f64,
    tested: Cell<f64>,
}

impl Clock {
    /// Of a stage that started then, and maybe continues from a checkpoint.
    pub fn of(started: Instant, resumed: Option<&Checkpoint>) -> Self {
        let seconds = |name: &str| resumed.and_then(|checkpoint| checkpoint.state[name].as_f64()).unwrap_or(0.0);
        Clock { started, before: seconds("seconds"), tested: Cell::new(seconds("tested")) }
    }

    /// What a checkpoint has to hold of it.
    pub fn remember(&self) -> Map<String, Value> {
        let seconds = [("seconds", self.seconds()), ("tested", self.tested())];
        seconds.into_iter().map(|(name, seconds)| (name.to_string(), seconds.into())).collect()
    }

    /// All.
    pub fn seconds(&self) -> f64 {
        self.before + self.started.elapsed().as_secs_f64()
    }

    /// Those on test images.
    pub fn tested(&self) -> f64 {
        self.tested.get()
    }

    fn add_test(&self, seconds: f64) {
        self.tested.set(self.tested.get() + seconds);
    }
}

/// The test images with the teacher's answers.
pub struct Test<'a> {
    /// The images.
    pub set: &'a Dataset,
    /// The classes \[N\] int64 that the teacher puts them into.
    pub by_teacher: Tensor,
}

/// The observer.
pub struct Watch<'a> {
    /// The stage's surroundings.
    pub ctx: &'a Context,
    /// The student.
    pub network: &'a Network,
    /// Its test, if there is one.
    pub test: Option<Test<'a>>,
    /// Of the last epoch.
    pub scores: Option<TestScores>,
    /// Of the last epoch.
    pub likeness: Option<Likeness>,
    /// For display.
    pub loss: LossReader,
    /// Steps of the hints, which went before.
    pub before: u64,
    /// Steps of the training that are done, hints left out.
    pub done: u64,
    /// Steps of the training, hints left out.
    pub total: u64,
    /// Epochs of the training.
    pub epochs: u64,
    /// The stage's seconds.
    pub clock: &'a Clock,
    /// What else a checkpoint has to hold.
    pub remember: &'a dyn Fn() -> Map<String, Value>,
}

impl Watch<'_> {
    fn tell(&self, state: &State, loss: Option<f64>) -> Result<()> {
        let (step, total) = (self.before + self.done, self.before + self.total);
        self.ctx.step(step, total, "steps", loss, || {
            let mut tensors = IndexMap::new();
            let mut about = (self.remember)();
            about.insert("training".into(), state.store(self.network, &mut tensors));
            Checkpoint { step, tensors, state: about.into() }
        })
    }

    fn likeness(&self, test: &Test, state: &State) -> Result<Likeness> {
        let logits = logits_of(self.network, &state.parameters, test.set, || self.tell(state, None))?;
        let share = |ours: &Tensor, theirs: &Tensor| -> Result<f64> {
            Ok(f64::try_from(ours.f_eq_tensor(theirs)?.f_to_kind(Kind::Double)?.f_mean(Kind::Double)?)?)
        };
        let agreement = share(&logits.f_argmax(1, false)?, &test.by_teacher)?;
        Ok(Likeness { teacher_accuracy: share(&test.by_teacher, &test.set.labels)?, agreement })
    }
}

impl Observer for Watch<'_> {
    fn step(&mut self, state: &State, done: u64, _total: u64, loss: &Tensor) -> Result<()> {
        self.done = done;
        let loss = self.loss.read(loss);
        self.tell(state, loss)
    }

    fn epoch(&mut self, state: &State, result: &EpochResult) -> Result<Option<f64>> {
        self.ctx.metric("loss", result.epoch, result.loss);
        self.ctx.metric("train_accuracy", result.epoch, result.train_accuracy);
        let Some(test) = &self.test else { return Ok(None) };
        let started = Instant::now();
        let scores = train::evaluate(self.network, &state.parameters, test.set, || self.tell(state, None))?;
        if result.epoch + 1 == self.epochs {
            self.likeness = Some(self.likeness(test, state)?);
        }
        self.clock.add_test(started.elapsed().as_secs_f64());
        let accuracy = scores.confusion.accuracy();
        self.ctx.metric("accuracy", result.epoch, accuracy);
        self.scores = Some(scores);
        Ok(Some(accuracy))
    }
}
