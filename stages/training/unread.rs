//! The losses of trainings whose results were not read when they ended, because reading makes the CPU wait for the device.
//! They are read when something went wrong later, to tell whether it went wrong here.

use super::State;
use crate::context::Interrupted;
use anyhow::{Error, Result, anyhow};
use ddpipe_nn::transfer;
use tch::Tensor;

/// The sum of the losses that were not read, on the device: no longer finite once one was not.
#[derive(Debug, Default)]
pub struct UnreadLoss(Option<Tensor>);

impl UnreadLoss {
    /// The same with what the training that ended in this state has left unread.
    pub fn and(&self, state: &State) -> Result<Self> {
        Ok(UnreadLoss(match (&self.0, state.unread_loss()?) {
            (Some(sum), Some(next)) => Some(sum.f_add(&next)?),
            (one, next) => next.or_else(|| one.as_ref().map(Tensor::shallow_clone)),
        }))
    }

    /// The same, sharing its tensor.
    pub fn shared(&self) -> Self {
        UnreadLoss(self.0.as_ref().map(Tensor::shallow_clone))
    }

    /// The error of a stage, or, if these losses are not finite, that they are not, of which `training` tells the cause.
    pub fn blamed(&self, error: Error, training: &'static str) -> Error {
        let loss = self.0.as_ref().filter(|_| !error.is::<Interrupted>()).map(transfer::number);
        match loss {
            Some(Ok(loss)) if !loss.is_finite() => anyhow!("the loss is no longer finite").context(training),
            _ => error,
        }
    }
}
