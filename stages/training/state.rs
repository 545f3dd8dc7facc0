//! The state of a training: all that it needs to continue after an interruption with the same result, and its form in a
//! checkpoint.

use crate::context::Checkpoint;
use anyhow::{Context as _, Result};
use ddpipe_nn::network::{Network, ParameterSpec, Parameters};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tch::{Kind, Tensor};

/// The result of one epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochResult {
    /// The epoch, counted from 0.
    pub epoch: u64,
    /// The learning rate of the epoch.
    pub rate: f64,
    /// Mean loss over the epoch's images, measured while training.
    pub loss: f64,
    /// The share of images that were classified correctly, measured while training.
    pub train_accuracy: f64,
    /// The accuracy on held-out images, if the observer measured it.
    pub accuracy: Option<f64>,
}

/// The state of a training.
#[derive(Debug)]
pub struct State {
    /// The network's parameters and running statistics.
    pub parameters: Parameters,
    /// The velocities of SGD, one per trainable parameter; undefined for frozen parameters, and empty before the first
    /// step of a phase.
    pub velocity: Vec<Tensor>,
    /// The current epoch, from 0.
    pub epoch: u64,
    /// The number of batches of the current epoch that are done.
    pub batch: u64,
    /// The results of the finished epochs.
    pub history: Vec<EpochResult>,
    /// \[2\] float64, sum of losses and number of correct predictions in the current epoch.
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

    /// The state with this velocity, before this batch of this epoch.
    pub fn at(self, velocity: Vec<Tensor>, epoch: u64, batch: u64) -> Self {
        State { velocity, epoch, batch, ..self }
    }

    /// Whether the loss of the current epoch is no longer finite.
    pub fn diverged(&self) -> Result<bool> {
        Ok(!f64::try_from(self.sums.f_get(0)?)?.is_finite())
    }

    /// Adds parameters, velocities and sums to the tensors of a checkpoint, and returns epoch, batch and history as
    /// JSON.
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

    /// Reads the state from a checkpoint that [`Progress`](super::Progress) saved.
    pub fn resume(network: &Network, checkpoint: &Checkpoint) -> Result<Self> {
        Self::restore(network, &checkpoint.tensors, &checkpoint.state["training"])
    }

    /// Reads the state that [`store`](Self::store) wrote.
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
