//! What is done after every step of an expert and after every epoch: progress, checkpoints, and its parameters into the
//! file.

use super::Finished;
use super::curriculum::Curriculum;
use crate::artifact::TrajectoryWriter;
use crate::common::network::Network;
use crate::common::train::{EpochResult, LossReader, Observer, State};
use crate::context::{Checkpoint, Context};
use anyhow::Result;
use indexmap::IndexMap;
use serde_json::json;
use tch::Tensor;

/// Who watches an expert.
pub(super) struct Watch<'a> {
    pub ctx: &'a Context,
    pub network: &'a Network,
    pub writer: &'a TrajectoryWriter,
    pub finished: &'a [Finished],
    pub seconds: &'a dyn Fn() -> f64,
    pub curriculum: &'a Curriculum,
    /// Steps of the experts before this one, and of all.
    pub before: u64,
    pub total: u64,
    pub loss: LossReader,
}

impl Watch<'_> {
    /// Tells how far all is, and saves it where that is due.
    pub fn tell(&self, state: &State, loss: Option<f64>) -> Result<()> {
        let step = self.before + self.curriculum.before(state.epoch) + state.batch;
        let mut settled = Ok(());
        let told = self.ctx.step(step, self.total, "steps", loss, || {
            // A checkpoint must not know of parameters that the file could lose.
            settled = self.writer.settle();
            let mut tensors = IndexMap::new();
            let training = state.store(self.network, &mut tensors);
            let state = json!({ "training": training, "finished": self.finished, "seconds": (self.seconds)() });
            Checkpoint { step, tensors, state }
        });
        settled.and(told)
    }
}

impl Observer for Watch<'_> {
    fn step(&mut self, state: &State, _done: u64, _total: u64, loss: &Tensor) -> Result<()> {
        let loss = self.loss.read(loss);
        self.tell(state, loss)
    }

    fn epoch(&mut self, state: &State, result: &EpochResult) -> Result<Option<f64>> {
        self.writer.put(self.finished.len() as u64, result.epoch + 1, &state.parameters.flat())?;
        self.ctx.metric("train_accuracy", result.epoch, result.train_accuracy);
        Ok(None)
    }
}
