//! The interface by which the training loop reports to a stage while it runs.

use super::{EpochResult, State};
use anyhow::{Result, bail};
use tch::Tensor;

/// When the results of epochs are read back from the device, which makes the CPU wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// After each epoch, for [`Observer::epoch`].
    EachEpoch,
    /// Of many epochs at once, and at the end of a phase.
    Now,
    /// Not by the training; whoever has the state reads it ([`State::read`]).
    Later,
}

/// Observes a training; an error from any method ends it.
pub trait Observer {
    /// Called with every batch, before [`step`](Self::step): the positions of its images (\[B\] int64), and which of
    /// them the parameters before the step classified correctly (\[B\] bool).
    fn batch(&mut self, _positions: &Tensor, _right: &Tensor) -> Result<()> {
        Ok(())
    }

    /// Called after every step, with the state after it and the mean loss of the step (a scalar). Reading the loss
    /// makes the CPU wait for the device.
    fn step(&mut self, state: &State, loss: &Tensor) -> Result<()>;

    /// When the results of epochs are read. A loss that is no longer finite is found then.
    fn reading(&self) -> Reading {
        Reading::EachEpoch
    }

    /// Called after the last batch of every epoch if [`reading`](Self::reading) is each epoch. May return an accuracy on held-out images, which is kept in the
    /// history. A training that continues from the state passed here calls it again.
    fn epoch(&mut self, _state: &State, _result: &EpochResult) -> Result<Option<f64>> {
        Ok(None)
    }

    /// Called when the loss of an epoch is no longer finite. If it returns no error, the training ends there, and its
    /// state reports that it [`diverged`](State::diverged).
    fn diverged(&mut self, epoch: u64) -> Result<()> {
        bail!("the loss is no longer finite in epoch {epoch}; a lower learning rate may help")
    }
}

/// An observer that only allows cancelling: the function is called after every step and may return an error. The results of
/// epochs are not read.
pub struct Cancellable<F: FnMut() -> Result<()>>(pub F);

impl<F: FnMut() -> Result<()>> Observer for Cancellable<F> {
    fn step(&mut self, _state: &State, _loss: &Tensor) -> Result<()> {
        (self.0)()
    }

    fn reading(&self) -> Reading {
        Reading::Later
    }
}
