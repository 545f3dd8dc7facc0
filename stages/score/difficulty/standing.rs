//! Where the scoring stands: the networks that are done, the images that the last one was asked about, and all of it in
//! a checkpoint. Sums are kept in double precision and in the order of networks, so that a run that continues ends with
//! the same bytes.

use crate::common::forgetting::Events;
use crate::common::network::Network;
use crate::common::train::State;
use crate::context::Checkpoint;
use anyhow::{Context as _, Result};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tch::{Device, Kind, Tensor};

/// What is left of a network beside its scores.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Finished {
    pub train_accuracy: f64,
    pub loss: f64,
}

/// What was scored so far, of N images.
#[derive(Debug)]
pub(super) struct Standing {
    /// The networks that are done.
    pub finished: Vec<Finished>,
    /// The sum of their scores, \[N\] float64.
    pub sum: Tensor,
    /// Scores of the running network, \[`scored`\] float64 each part.
    pub parts: Vec<Tensor>,
    /// Images that it was asked about.
    pub scored: i64,
    /// What it forgot, where that is what is counted.
    pub events: Option<Events>,
    /// Seconds before this process.
    pub seconds: f64,
}

impl Standing {
    /// Nothing scored yet.
    pub fn new(count: i64, device: Device, forgetting: bool) -> Self {
        Standing {
            finished: Vec::new(),
            sum: Tensor::zeros([count], (Kind::Double, device)),
            parts: Vec::new(),
            scored: 0,
            events: forgetting.then(|| Events::new(count, device)),
            seconds: 0.0,
        }
    }

    /// Adds the scores of the running network, which is done.
    pub fn finish(&mut self, scores: &Tensor, about: Finished) -> Result<()> {
        self.sum = self.sum.f_add(scores)?;
        self.finished.push(about);
        (self.parts, self.scored) = (Vec::new(), 0);
        self.events = self.events.take().map(|_| Events::new(self.sum.size()[0], self.sum.device()));
        Ok(())
    }

    /// All of it, with the training of the running network.
    pub fn checkpoint(&self, step: u64, network: &Network, training: &State, seconds: f64) -> Checkpoint {
        let mut tensors = IndexMap::new();
        let training = training.store(network, &mut tensors);
        tensors.insert("scores.sum".into(), self.sum.shallow_clone());
        if !self.parts.is_empty() {
            tensors.insert("scores.now".into(), Tensor::cat(&self.parts, 0));
        }
        if let Some(events) = &self.events {
            events.store(&mut tensors);
        }
        let state = json!({ "training": training, "finished": self.finished, "seconds": seconds });
        Checkpoint { step, tensors, state }
    }

    /// What [`checkpoint`](Self::checkpoint) put away.
    pub fn restore(checkpoint: &Checkpoint, network: &Network, forgetting: bool) -> Result<(Self, State)> {
        let parts: Vec<Tensor> = checkpoint.tensors.get("scores.now").map(Tensor::shallow_clone).into_iter().collect();
        let state = &checkpoint.state;
        let standing = Standing {
            finished: serde_json::from_value(state["finished"].clone()).context("the checkpoint's networks")?,
            sum: checkpoint.get("scores.sum")?.shallow_clone(),
            scored: parts.iter().map(|part| part.size()[0]).sum(),
            parts,
            events: forgetting.then(|| Events::restore(checkpoint)).transpose()?,
            seconds: state["seconds"].as_f64().unwrap_or(0.0),
        };
        Ok((standing, State::restore(network, &checkpoint.tensors, &state["training"])?))
    }
}
