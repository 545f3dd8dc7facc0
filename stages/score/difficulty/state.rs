//! The state of a scoring run: the networks that are done, the images that the running one has scored, and their form in
//! a checkpoint. Sums are kept in double precision and in the order of networks, so that a run that continues ends with
//! the same bytes.

use crate::context::Checkpoint;
use crate::training::State;
use crate::training::forgetting::Events;
use anyhow::Result;
use ddpipe_nn::network::Network;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use tch::{Device, Kind, Tensor};

/// What is left of a network beside its scores.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Finished {
    pub train_accuracy: f64,
    pub loss: f64,
}

/// What was scored so far, of N images.
#[derive(Debug)]
pub(super) struct ScoringState {
    /// The networks that are done.
    pub finished: Vec<Finished>,
    /// The sum of their scores, \[N\] float64.
    pub sum: Tensor,
    /// Scores of the running network, \[`scored`\] float64 each part.
    pub parts: Vec<Tensor>,
    /// Images that the running network has scored.
    pub scored: i64,
    /// What it forgot, where that is what is counted.
    pub events: Option<RefCell<Events>>,
}

impl ScoringState {
    /// Nothing scored yet.
    pub fn new(count: i64, device: Device, forgetting: bool) -> Self {
        ScoringState {
            finished: Vec::new(),
            sum: Tensor::zeros([count], (Kind::Double, device)),
            parts: Vec::new(),
            scored: 0,
            events: forgetting.then(|| RefCell::new(Events::new(count, device))),
        }
    }

    /// Adds the scores of the running network, which is done.
    pub fn finish(&mut self, scores: &Tensor, about: Finished) -> Result<()> {
        self.sum = self.sum.f_add(scores)?;
        self.finished.push(about);
        (self.parts, self.scored) = (Vec::new(), 0);
        self.events = self.events.take().map(|_| RefCell::new(Events::new(self.sum.size()[0], self.sum.device())));
        Ok(())
    }

    /// Adds all of it to a checkpoint.
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

    /// What [`store`](Self::store) put away, and the training of the running network.
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
