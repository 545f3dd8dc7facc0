//! What the training loop tells while it runs.

use super::{EpochResult, State};
use anyhow::{Result, bail};
use tch::Tensor;

/// Follows a training; an error ends it.
pub trait Observer {
    /// With every batch, before [`step`](Self::step): the positions of its images (\[B\] int64) and which of them the
    /// parameters before the step classified rightly (\[B\] bool).
    fn batch(&mut self, _positions: &Tensor, _right: &Tensor) -> Result<()> {
        Ok(())
    }

    /// After every step, with the state after it and the step's mean loss, a scalar; reading the loss makes the host wait
    /// for the device.
    fn step(&mut self, state: &State, loss: &Tensor) -> Result<()>;

    /// After the last batch of every epoch. May return an accuracy on held-out images, which is kept in the history. A
    /// training that continues from the state seen here asks again.
    fn epoch(&mut self, _state: &State, _result: &EpochResult) -> Result<Option<f64>> {
        Ok(None)
    }

    /// When the loss of an epoch is no longer finite. Without an error the training ends there, and its state says that
    /// it [`diverged`](State::diverged).
    fn diverged(&mut self, epoch: u64) -> Result<()> {
        bail!("the loss is no longer finite in epoch {epoch}; a lower learning rate may help")
    }
}

/// Follows a training only to let it be cancelled: the function is called after every step and may return an error.
pub struct Cancellable<F: FnMut() -> Result<()>>(pub F);

impl<F: FnMut() -> Result<()>> Observer for Cancellable<F> {
    fn step(&mut self, _state: &State, _loss: &Tensor) -> Result<()> {
        (self.0)()
    }
}
