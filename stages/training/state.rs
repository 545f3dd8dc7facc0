//! The state of a training: all that it needs to continue after an interruption with the same result, and its form in a
//! checkpoint.

use super::Settings;
use crate::context::Checkpoint;
use anyhow::{Context as _, Result};
use ddpipe_nn::network::{Network, ParameterSpec, Parameters};
use ddpipe_nn::optim::{Average, Averaged, Memory, Moments};
use ddpipe_nn::transfer;
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
    /// What the optimiser remembers; empty before the first step of a phase.
    pub memory: Memory,
    /// The average of parameters and running statistics over the steps of the phase, where one is taken.
    pub averaged: Averaged,
    /// The current epoch, from 0.
    pub epoch: u64,
    /// The number of batches of the current epoch that are done.
    pub batch: u64,
    /// The results of the finished epochs.
    pub history: Vec<EpochResult>,
    /// \[2\] float64, sum of losses and number of correct predictions in the current epoch.
    pub(super) sums: Tensor,
    /// Finished epochs after those of the history, whose results are still on the device.
    pub(super) unread: Vec<Unread>,
}

/// A finished epoch whose results are on the device.
#[derive(Debug)]
pub(super) struct Unread {
    pub epoch: u64,
    pub rate: f64,
    /// The number of images of the epoch.
    pub seen: f64,
    /// \[2\] float64, sum of losses and number of correct predictions.
    pub sums: Tensor,
}

impl Unread {
    /// Reads the results; `None` if the loss is no longer finite.
    pub fn read(&self) -> Result<Option<EpochResult>> {
        Ok(self.result(&transfer::numbers(&self.sums)?))
    }

    fn result(&self, sums: &[f64]) -> Option<EpochResult> {
        let &[loss, right] = sums else { return None };
        let result = EpochResult {
            epoch: self.epoch,
            rate: self.rate,
            loss: loss / self.seen,
            train_accuracy: right / self.seen,
            accuracy: None,
        };
        loss.is_finite().then_some(result)
    }
}

#[derive(Serialize, Deserialize)]
struct About {
    epoch: u64,
    batch: u64,
    history: Vec<EpochResult>,
    /// Epoch, rate and number of images of those that are not read; their sums are a tensor.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unread: Vec<(u64, f64, f64)>,
    /// Steps of Adam, and of the average.
    #[serde(default, skip_serializing_if = "is_nothing")]
    steps: (u64, u64),
}

fn is_nothing(steps: &(u64, u64)) -> bool {
    *steps == (0, 0)
}

/// The beginnings of the names of what belongs to a trainable parameter in a checkpoint.
const VELOCITY: &str = "velocity.";
const FIRST_MOMENT: &str = "moment1.";
const SECOND_MOMENT: &str = "moment2.";
/// And of what is numbered.
const AVERAGE: &str = "average.";

impl State {
    /// The start of a training.
    pub fn new(parameters: Parameters) -> Self {
        let device = parameters.trainable.first().map_or(tch::Device::Cpu, Tensor::device);
        let sums = Tensor::zeros([2], (Kind::Double, device));
        let (memory, averaged) = (Memory::default(), Averaged::default());
        State { parameters, memory, averaged, epoch: 0, batch: 0, history: Vec::new(), sums, unread: Vec::new() }
    }

    /// The state with this velocity, before this batch of this epoch.
    pub fn at(self, velocity: Vec<Tensor>, epoch: u64, batch: u64) -> Self {
        State { memory: Memory { velocity, ..Memory::default() }, epoch, batch, ..self }
    }

    /// The average of the parameters so far; the parameters, before the first step.
    pub fn averaged(&self, average: Average) -> Result<Parameters> {
        let mut values = average.value(&self.averaged)?;
        if values.is_empty() {
            return Ok(self.parameters.clone());
        }
        let buffers = values.split_off(self.parameters.trainable.len().min(values.len()));
        Ok(Parameters { trainable: values, buffers })
    }

    /// The parameters that a training with these settings would give if it ended here.
    pub fn result(&self, settings: &Settings) -> Result<Parameters> {
        settings.average.map_or_else(|| Ok(self.parameters.clone()), |average| self.averaged(average))
    }

    /// Whether the loss of the current epoch is no longer finite.
    pub fn diverged(&self) -> Result<bool> {
        Ok(!transfer::number(&self.sums.f_get(0)?)?.is_finite())
    }

    /// Reads the results of finished epochs that are still on the device, all at once, into the history. Returns the first
    /// whose loss was no longer finite, which is where it stops.
    pub fn read(&mut self) -> Result<Option<u64>> {
        let unread = std::mem::take(&mut self.unread);
        if unread.is_empty() {
            return Ok(None);
        }
        let sums: Vec<&Tensor> = unread.iter().map(|epoch| &epoch.sums).collect();
        let sums: Vec<f64> = transfer::numbers(&Tensor::f_cat(&sums, 0)?)?;
        for (epoch, sums) in unread.iter().zip(sums.chunks(2)) {
            match epoch.result(sums) {
                Some(result) => self.history.push(result),
                None => return Ok(Some(epoch.epoch)),
            }
        }
        Ok(None)
    }

    /// The sum of the losses of all epochs that are not read, a scalar on the device; `None` if all are.
    pub fn unread_loss(&self) -> Result<Option<Tensor>> {
        let sums: Vec<Tensor> = self.unread.iter().map(|epoch| epoch.sums.f_get(0)).collect::<Result<_, _>>()?;
        Ok(if sums.is_empty() { None } else { Some(Tensor::f_stack(&sums, 0)?.f_sum(Kind::Double)?) })
    }

    /// Adds parameters, velocities and sums to the tensors of a checkpoint, and returns epoch, batch and history as
    /// JSON.
    pub fn store(&self, network: &Network, tensors: &mut IndexMap<String, Tensor>) -> Value {
        for (name, tensor) in network.state_dict(&self.parameters) {
            tensors.insert(format!("parameter.{name}"), tensor);
        }
        let Memory { velocity, moments } = &self.memory;
        for (prefix, values) in [(VELOCITY, velocity), (FIRST_MOMENT, &moments.first), (SECOND_MOMENT, &moments.second)]
        {
            for (spec, tensor) in network.trainable().zip(values).filter(|(_, value)| value.defined()) {
                tensors.insert(format!("{prefix}{}", spec.name), tensor.shallow_clone());
            }
        }
        for (place, sum) in self.averaged.sums.iter().enumerate() {
            tensors.insert(format!("{AVERAGE}{place}"), sum.shallow_clone());
        }
        tensors.insert("sums".into(), self.sums.shallow_clone());
        for Unread { epoch, sums, .. } in &self.unread {
            tensors.insert(format!("sums.{epoch}"), sums.shallow_clone());
        }
        let unread = self.unread.iter().map(|own| (own.epoch, own.rate, own.seen)).collect();
        let steps = (moments.steps, self.averaged.steps);
        json!(About { epoch: self.epoch, batch: self.batch, history: self.history.clone(), unread, steps })
    }

    /// Reads the state from a checkpoint that [`Progress`](super::Progress) saved.
    pub fn resume(network: &Network, checkpoint: &Checkpoint) -> Result<Self> {
        Self::restore(network, &checkpoint.tensors, &checkpoint.state["training"])
    }

    /// Reads the state that [`store`](Self::store) wrote.
    pub fn restore(network: &Network, tensors: &IndexMap<String, Tensor>, about: &Value) -> Result<Self> {
        let About { epoch, batch, history, unread, steps } =
            serde_json::from_value(about.clone()).context("the checkpoint's state")?;
        let own = |(name, tensor): (&String, &Tensor)| {
            Some((name.strip_prefix("parameter.")?.to_string(), tensor.shallow_clone()))
        };
        let parameters = network.load(&tensors.iter().filter_map(own).collect()).context("the checkpoint")?;
        let list = |prefix: &str| -> Vec<Tensor> {
            let find = |spec: &ParameterSpec| tensors.get(&format!("{prefix}{}", spec.name)).map(Tensor::shallow_clone);
            let found: Vec<Option<Tensor>> = network.trainable().map(find).collect();
            let begun = found.iter().any(Option::is_some);
            found.into_iter().map(Option::unwrap_or_default).filter(|_| begun).collect()
        };
        let moments = Moments { first: list(FIRST_MOMENT), second: list(SECOND_MOMENT), steps: steps.0 };
        let memory = Memory { velocity: list(VELOCITY), moments };
        let sum = |place: usize| tensors.get(&format!("{AVERAGE}{place}")).map(Tensor::shallow_clone);
        let averaged = Averaged { sums: (0..).map_while(sum).collect(), steps: steps.1 };
        let sums = tensors.get("sums").context("the checkpoint has no running sums")?.copy();
        let unread = unread.into_iter().map(|(epoch, rate, seen)| {
            let sums = tensors.get(&format!("sums.{epoch}"));
            let sums = sums.with_context(|| format!("the checkpoint has no sums of epoch {epoch}"))?.copy();
            Ok(Unread { epoch, rate, seen, sums })
        });
        let unread = unread.collect::<Result<_>>()?;
        Ok(State { parameters, memory, averaged, epoch, batch, history, sums, unread })
    }
}
