//! Where a training stands: all that it needs to continue as if it had never stopped, and its form in a checkpoint.

use crate::context::Checkpoint;
use anyhow::{Context as _, Result};
use ddpipe_nn::network::{Network, ParameterSpec, Parameters};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tch::{Kind, Tensor};

/// What one epoch came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochResult {
    /// The epoch, counted from 0.
    pub epoch: u64,
    /// The learning rate.
    pub rate: f64,
    /// Mean cross entropy over the epoch's images, as seen while training.
    pub loss: f64,
    /// Share of images classified rightly while training.
    pub train_accuracy: f64,
    /// What the observer measured on held-out images, if it did.
    pub accuracy: Option<f64>,
}

/// Where a training stands.
#[derive(Debug)]
pub struct State {
    /// The network's parameters and running statistics.
    pub parameters: Parameters,
    /// One per trainable parameter, undefined for those that are frozen; empty before the first step of a phase.
    pub velocity: Vec<Tensor>,
    /// The running epoch, from 0.
    pub epoch: u64,
    /// Batches of it that are done.
    pub batch: u64,
    /// Finished epochs.
    pub history: Vec<EpochResult>,
    /// Sum of losses and number of right answers in the running epoch, \[2\] float64.
    pub(super) sums: Tensor,
}

#[derive(Serialize, Deserialize)]
struct About {
    epoch: u64,
    batch: u64,
    history: Vec<EpochResult>,
}

impl State {
    /// The start of a training.
    pub fn new(parameters: Parameters) -> Self {
        let device = parameters.trainable.first().map_or(tch::Device::Cpu, Tensor::device);
        let sums = Tensor::zeros([2], (Kind::Double, device));
        State { parameters, velocity: Vec::new(), epoch: 0, batch: 0, history: Vec::new(), sums }
    }

    /// The same in the middle of a training: with this velocity, before this batch of this epoch.
    pub fn at(self, velocity: Vec<Tensor>, epoch: u64, batch: u64) -> Self {
        State { velocity, epoch, batch, ..self }
    }

    /// Whether the loss of the running epoch is no longer finite.
    pub fn diverged(&self) -> Result<bool> {
        Ok(!f64::try_from(self.sums.f_get(0)?)?.is_finite())
    }

    /// Adds the tensors to a checkpoint and returns the rest, which is JSON.
    pub fn store(&self, network: &Network, tensors: &mut IndexMap<String, Tensor>) -> Value {
        for (name, tensor) in network.state_dict(&self.parameters) {
            tensors.insert(format!("parameter.{name}"), tensor);
        }
        for (spec, tensor) in network.trainable().zip(&self.velocity).filter(|(_, velocity)| velocity.defined()) {
            tensors.insert(format!("velocity.{}", spec.name), tensor.shallow_clone());
        }
        tensors.insert("sums".into(), self.sums.shallow_clone());
        json!(About { epoch: self.epoch, batch: self.batch, history: self.history.clone() })
    }

    /// The state in a checkpoint that [`Progress`](super::Progress) saved.
    pub fn resume(network: &Network, checkpoint: &Checkpoint) -> Result<Self> {
        Self::restore(network, &checkpoint.tensors, &checkpoint.state["training"])
    }

    /// The state that [`store`](Self::store) put away.
    pub fn restore(network: &Network, tensors: &IndexMap<String, Tensor>, about: &Value) -> Result<Self> {
        let About { epoch, batch, history } =
            serde_json::from_value(about.clone()).context("the checkpoint's state")?;
        let own = |(name, tensor): (&String, &Tensor)| {
            Some((name.strip_prefix("parameter.")?.to_string(), tensor.shallow_clone()))
        };
        let parameters = network.load(&tensors.iter().filter_map(own).collect()).context("the checkpoint")?;
        let find = |spec: &ParameterSpec| tensors.get(&format!("velocity.{}", spec.name)).map(Tensor::shallow_clone);
        let found: Vec<Option<Tensor>> = network.trainable().map(find).collect();
        let begun = found.iter().any(Option::is_some);
        let velocity = found.into_iter().map(Option::unwrap_or_default).filter(|_| begun).collect();
        let sums = tensors.get("sums").context("the checkpoint has no running sums")?.copy();
        Ok(State { parameters, velocity, epoch, batch, history, sums })
    }
}
