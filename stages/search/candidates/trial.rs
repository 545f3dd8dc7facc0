//! One candidate: a fresh network trained on the set and tested once, at the end. Its random streams have a seed of
//! their own, drawn from the stage's seed and its place in the space, so that it comes out the same whichever others
//! are trained beside it.

use super::candidate::{Candidate, name};
use super::{Params, Tested};
use crate::artifact::Dataset;
use crate::common::network::Network;
use crate::common::stream::stream;
use crate::common::train::{self, Criterion, LossReader, Objective, Observer, State, TrainingSet};
use crate::context::{Checkpoint, Context};
use anyhow::Result;
use indexmap::IndexMap;
use rand::Rng;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tch::Tensor;

/// What is the same for all candidates.
pub(super) struct Course<'a> {
    pub ctx: &'a Context,
    pub set: &'a TrainingSet,
    pub test: &'a Dataset,
    pub params: &'a Params,
    pub total: u64,
    pub seconds: &'a dyn Fn() -> f64,
}

/// The candidates that are done.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Progress {
    pub finished: Vec<Tested>,
    /// Wall time of their tests.
    pub test_seconds: f64,
}

impl Course<'_> {
    /// Trains and tests a candidate, from `state` if it was begun before. The caller adds it to the finished ones.
    pub fn take(
        &self,
        candidate: &Candidate,
        network: &Network,
        progress: &mut Progress,
        state: Option<State>,
    ) -> Result<Tested> {
        let seed = stream(self.ctx.seed, "candidate", candidate.index).generator().random();
        let state = match state {
            Some(state) => state,
            None => State::new(network.init(stream(seed, "init", 0).generator(), self.ctx.device)?),
        };
        let augment = self.params.training.augmentation(network, seed);
        let settings = self.params.settings(seed);
        let examples = self.set.examples();
        let (steps, batches) = (settings.steps(examples.count()), settings.steps_per_epoch(examples.count()));
        let done = (state.epoch * batches + state.batch).min(steps);
        let loss = LossReader::default();
        let mut watch = Watch { course: self, network, progress, loss, done, total: steps };
        let direction = Objective::of(Criterion::Auto, self.set)?.direction();
        let augment = augment.as_deref();
        let state = train::train_along(&direction, network, state, examples, &settings, augment, &mut watch)?;
        let test = train::evaluate(network, &state.parameters, self.test, || {
            let (step, total) = watch.place();
            self.ctx.step(step, total, "steps", None, || watch.checkpoint(&state))
        })?;
        progress.test_seconds += test.seconds;
        let diverged = state.diverged()?;
        let loss = state.history.last().map(|epoch| epoch.loss).filter(|_| !diverged);
        Ok(Tested {
            index: candidate.index,
            name: name(&candidate.architecture),
            network: network.spec().clone(),
            parameters: network.parameter_count(),
            flops: network.flops(),
            accuracy: test.confusion.accuracy(),
            loss,
            diverged,
        })
    }
}

struct Watch<'a> {
    course: &'a Course<'a>,
    network: &'a Network,
    progress: &'a Progress,
    loss: LossReader,
    done: u64,
    total: u64,
}

impl Watch<'_> {
    /// Steps done and to do, over all candidates.
    fn place(&self) -> (u64, u64) {
        (self.progress.finished.len() as u64 * self.total + self.done, self.course.total * self.total)
    }

    fn checkpoint(&self, state: &State) -> Checkpoint {
        let mut tensors = IndexMap::new();
        let training = state.store(self.network, &mut tensors);
        let seconds = (self.course.seconds)();
        let about = json!({ "progress": self.progress, "training": training, "seconds": seconds });
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

    /// A search goes on: the candidate counts with the accuracy it has.
    fn diverged(&mut self, _epoch: u64) -> Result<()> {
        Ok(())
    }
}
