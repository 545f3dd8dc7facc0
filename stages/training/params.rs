//! The parameters that training stages share, as `stage.toml` declares them, and the settings that follow from them.

use super::{Objective, Settings, TrainingSet};
use anyhow::{Context as _, Result, ensure};
use ddpipe_nn::augment::{Augment, Augmentation, Strategy};
use ddpipe_nn::network::Network;
use ddpipe_nn::optim::{Schedule, Sgd};
use ddpipe_nn::transfer;
use serde::Deserialize;
use std::time::{Duration, Instant};
use tch::Tensor;

/// How a network is trained. Part of a kind's `Params`, by `#[serde(flatten)]`.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "each is the parameter of the same name in stage.toml, which has the help")]
pub struct TrainingParams {
    pub epochs: u64,
    pub batch_size: i64,
    pub lr: f64,
    pub momentum: f64,
    pub weight_decay: f64,
    pub schedule: Schedule,
    pub augment: Augmentation,
    pub strategy: Strategy,
}

impl TrainingParams {
    /// The parameters with `lr` replaced by the learning rate that was learnt with the set's images, if `wanted`. An
    /// error if the set has none or it is not above zero.
    pub fn with_learned_lr(self, wanted: bool, set: &TrainingSet) -> Result<Self> {
        if !wanted {
            return Ok(self);
        }
        let learnt = match set {
            TrainingSet::Synthetic(set) => set.lr,
            TrainingSet::Real(_) => None,
        };
        let lr = learnt.context(
            "learned_lr = true, but no learning rate was learnt with these images, as distill.mtt does; give lr instead",
        )?;
        ensure!(
            lr > 0.0,
            "the learning rate that was learnt with these images is {lr}; give learned_lr = false and lr instead"
        );
        Ok(TrainingParams { lr, ..self })
    }

    /// The settings of the training as JSON, for comparing results. The strategy is included only where there is an
    /// augmentation that uses it.
    pub fn protocol(&self, objective: Objective) -> serde_json::Value {
        let mut protocol = serde_json::json!({
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "lr": self.lr,
            "momentum": self.momentum,
            "weight_decay": self.weight_decay,
            "schedule": self.schedule,
            "augment": self.augment,
            "strategy": self.augment.has_strategy().then_some(&self.strategy),
        });
        // Left out for cross entropy, so that documents from before there were other losses keep their bytes.
        if let Objective::SquaredError { .. } = objective {
            protocol["loss"] = "mse".into();
        }
        protocol
    }

    /// The settings of the training loop, with this seed for shuffling.
    pub fn settings(&self, seed: u64) -> Settings {
        Settings {
            epochs: self.epochs,
            batch_size: self.batch_size,
            rate: self.lr,
            schedule: self.schedule,
            sgd: Sgd { momentum: self.momentum, weight_decay: self.weight_decay },
            seed,
            max_steps: None,
        }
    }

    /// The augmentation for this network, if any.
    pub fn augmentation(&self, network: &Network, seed: u64) -> Option<Box<dyn Augment>> {
        self.augment.for_training(&self.strategy, &network.spec().architecture, seed)
    }
}

/// An error if the training images and those of a second set differ in shape (channels, height, width) or number of
/// classes; `what` names the input of the second set.
pub fn fits(trained: ([i64; 3], i64), tested: ([i64; 3], i64), what: &str) -> Result<()> {
    let (([channels, height, width], classes), (shape, others)) = (trained, tested);
    ensure!(
        [channels, height, width] == shape,
        "input {what:?} has images of {}x{}x{}, the training images are {channels}x{height}x{width}",
        shape[0],
        shape[1],
        shape[2]
    );
    ensure!(classes == others, "input {what:?} has {others} classes, the training images have {classes}");
    Ok(())
}

/// Reads a loss for display from time to time, because reading makes the CPU wait for the device. What it reads is not counted.
#[derive(Debug, Default)]
pub struct LossReader {
    last: Option<Instant>,
}

impl LossReader {
    /// The loss, if the last one was read at least 100 ms ago.
    pub fn read(&mut self, loss: &Tensor) -> Option<f64> {
        if self.last.is_some_and(|last| last.elapsed() < Duration::from_millis(100)) {
            return None;
        }
        self.last = Some(Instant::now());
        transfer::shown(loss)
    }
}
