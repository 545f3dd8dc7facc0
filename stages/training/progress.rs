//! The observer of a training for a stage: it reports progress and curves, saves checkpoints, and calls the stage's own
//! hooks.

use super::{EpochResult, LossReader, Observer, Reading, State};
use crate::context::{Checkpoint, Context};
use anyhow::{Result, bail};
use ddpipe_nn::network::Network;
use tch::Tensor;

/// The key of the training's state in a checkpoint, unless a stage has several.
const TRAINING: &str = "training";

type Save<'a> = Box<dyn Fn(&mut Checkpoint, &State) -> Result<()> + 'a>;

/// Reports progress and saves checkpoints of one training of a stage.
pub struct Report<'a> {
    ctx: &'a Context,
    network: &'a Network,
    key: &'static str,
    before: u64,
    total: u64,
    position: Box<dyn Fn(&State) -> u64 + 'a>,
    save: Save<'a>,
}

impl Report<'_> {
    /// Reports the progress of the stage, saves a checkpoint if one is due, and returns an error if the stage was asked
    /// to stop.
    pub fn tell(&self, state: &State, loss: Option<f64>) -> Result<()> {
        let step = self.before + (self.position)(state);
        self.ctx.step(step, self.total, "steps", loss, |checkpoint| {
            let training = state.store(self.network, &mut checkpoint.tensors);
            checkpoint.note(self.key, training);
            (self.save)(checkpoint, state)
        })
    }

    /// Adds the points of the curves `loss` and `train_accuracy` after an epoch.
    pub fn epoch(&self, result: &EpochResult) {
        self.metric("loss", result.epoch, result.loss);
        self.metric("train_accuracy", result.epoch, result.train_accuracy);
    }

    /// Adds a point of a curve that is shown while the stage runs.
    pub fn metric(&self, name: &str, step: u64, value: f64) {
        self.ctx.metric(name, step, value);
    }
}

type OnBatch<'a> = Box<dyn FnMut(&Tensor, &Tensor) -> Result<()> + 'a>;
type OnEpoch<'a> = Box<dyn FnMut(&Report, &State, &EpochResult) -> Result<Option<f64>> + 'a>;

/// Observes a training for a stage. Made by [`Progress::new`]; the builder methods set what differs between stages.
pub struct Progress<'a> {
    report: Report<'a>,
    loss: LossReader,
    on_batch: Option<OnBatch<'a>>,
    on_epoch: Option<OnEpoch<'a>>,
    divergence: Divergence,
}

/// What happens when a training diverges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Divergence {
    /// The stage fails with this advice.
    Fails(&'static str),
    /// The training ends, and the stage continues.
    Ends,
}

impl<'a> Progress<'a> {
    /// Observes a training. `total` is the number of steps of the whole stage, and `position(state)` how many of them
    /// this training has done.
    pub fn new(ctx: &'a Context, network: &'a Network, total: u64, position: impl Fn(&State) -> u64 + 'a) -> Self {
        let (position, save) = (Box::new(position), Box::new(|_: &mut Checkpoint, _: &State| Ok(())));
        Progress {
            report: Report { ctx, network, key: TRAINING, before: 0, total, position, save },
            loss: LossReader::default(),
            on_batch: None,
            on_epoch: None,
            divergence: Divergence::Fails("a lower learning rate may help"),
        }
    }

    /// Sets the number of steps of the stage that were done before this training.
    pub fn after(mut self, steps: u64) -> Self {
        self.report.before = steps;
        self
    }

    /// Stores the training's state under this key in checkpoints, instead of `training`.
    pub fn stored_as(mut self, key: &'static str) -> Self {
        self.report.key = key;
        self
    }

    /// Sets the function that adds what the stage needs beside the training to a checkpoint.
    pub fn saving(mut self, save: impl Fn(&mut Checkpoint, &State) -> Result<()> + 'a) -> Self {
        self.report.save = Box::new(save);
        self
    }

    /// Sets the stage's hook for every batch; see [`Observer::batch`].
    pub fn on_batch(mut self, hook: impl FnMut(&Tensor, &Tensor) -> Result<()> + 'a) -> Self {
        self.on_batch = Some(Box::new(hook));
        self
    }

    /// Sets the stage's hook after every epoch; see [`Observer::epoch`].
    pub fn on_epoch(mut self, hook: impl FnMut(&Report, &State, &EpochResult) -> Result<Option<f64>> + 'a) -> Self {
        self.on_epoch = Some(Box::new(hook));
        self
    }

    /// Sets what happens when the training diverges; by default the stage fails.
    pub fn when_diverged(mut self, divergence: Divergence) -> Self {
        self.divergence = divergence;
        self
    }

    /// The report of progress, for work after the training such as a test.
    pub fn report(&self) -> &Report<'a> {
        &self.report
    }
}

impl Observer for Progress<'_> {
    fn batch(&mut self, positions: &Tensor, right: &Tensor) -> Result<()> {
        self.on_batch.as_mut().map_or(Ok(()), |hook| hook(positions, right))
    }

    fn step(&mut self, state: &State, loss: &Tensor) -> Result<()> {
        let loss = self.loss.read(loss);
        self.report.tell(state, loss)
    }

    fn reading(&self) -> Reading {
        // Where a training that diverges ends, its state has to be that after the epoch in which it did.
        match self.on_epoch.is_some() || self.divergence == Divergence::Ends {
            true => Reading::EachEpoch,
            false => Reading::Now,
        }
    }

    fn epoch(&mut self, state: &State, result: &EpochResult) -> Result<Option<f64>> {
        self.on_epoch.as_mut().map_or(Ok(None), |hook| hook(&self.report, state, result))
    }

    fn diverged(&mut self, epoch: u64) -> Result<()> {
        match self.divergence {
            Divergence::Fails(advice) => bail!("the loss is no longer finite in epoch {epoch}; {advice}"),
            Divergence::Ends => Ok(()),
        }
    }
}
