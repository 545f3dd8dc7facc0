//! The state of a scoring run, and its form in a checkpoint: the finished networks, and the images that the current
//! network has scored. Sums are in double precision and in the order of networks, so that a run that continues gives
//! the same bytes.

use crate::context::Checkpoint;
use crate::training::State;
use crate::training::forgetting::Events;
use anyhow::Result;
use ddpipe_nn::network::Network;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use tch::{Device, Kind, Tensor};

/// What is kept of a finished network beside its scores: training accuracy and loss of the last epoch.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Finished {
    pub train_accuracy: f64,
    pub loss: f64,
}

/// The scores computed so far, of N images.
#[derive(Debug)]
pub(super) struct ScoringState {
    /// The networks that are finished.
    pub finished: Vec<Finished>,
    /// The sum of the finished networks' scores, \[N\] float64.
    pub sum: Tensor,
    /// The scores of the current network, batch by batch, \[n\] float64 each; together `scored` images.
    pub parts: Vec<Tensor>,
    /// The number of images that the current network has scored.
    pub scored: i64,
    /// The forgetting events of the current network; `None` unless the method counts them.
    pub events: Option<RefCell<Events>>,
}

impl ScoringState {
    /// The state before the first network; `forgetting` says whether forgetting events are counted.
    pub fn new(count: i64, device: Device, forgetting: bool) -> Self {
        ScoringState {
            finished: Vec::new(),
            sum: Tensor::zeros([count], (Kind::Double, device)),
            parts: Vec::new(),
            scored: 0,
            events: forgetting.then(|| RefCell::new(Events::new(count, device))),
        }
    }

    /// Adds the scores \[N\] of the current network, which is finished, and begins the next one.
    pub fn finish(&mut self, scores: &Tensor, about: Finished) -> Result<()> {
        self.sum = self.sum.f_add(scores)?;
        self.finished.push(about);
        (self.parts, self.scored) = (Vec::new(), 0);
        self.events = self.events.take().map(|_| RefCell::new(Events::new(self.sum.size()[0], self.sum.device())));
        Ok(())
    }

    /// Adds the whole state to a checkpoint.
    pub fn store(&self, checkpoint: &mut Checkpoint) {
        checkpoint.note("finished", &self.finished);
        checkpoint.put("scores.sum", &self.sum);
        if !self.parts.is_empty() {
            checkpoint.put("scores.now", &Tensor::cat(&self.parts, 0));
        }
        if let Some(events) = &self.events {
            events.borrow().store(&mut checkpoint.tensors);
        }
    }

    /// Reads the state that [`store`](Self::store) wrote, and the training state of the current network.
    pub fn restore(checkpoint: &Checkpoint, network: &Network, forgetting: bool) -> Result<(Self, State)> {
        let parts: Vec<Tensor> = checkpoint.tensors.get("scores.now").map(Tensor::shallow_clone).into_iter().collect();
        let standing = ScoringState {
            finished: checkpoint.noted("finished")?,
            sum: checkpoint.get("scores.sum")?.shallow_clone(),
            scored: parts.iter().map(|part| part.size()[0]).sum(),
            parts,
            events: forgetting.then(|| Events::restore(checkpoint).map(RefCell::new)).transpose()?,
        };
        Ok((standing, State::resume(network, checkpoint)?))
    }
}
