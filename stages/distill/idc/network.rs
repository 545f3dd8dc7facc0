//! The network that the images meet: it is trained on real images before each turn, with augmentation and CutMix, and its
//! weights and velocity travel in the checkpoints. Batches are counted over the whole run, so that any of them can be
//! drawn again.

use crate::artifact::Dataset;
use crate::context::Checkpoint;
use crate::training::{Cancellable, Orders, Phase, Settings, State, Training, UnreadLoss, cross_entropy_gradient};
use anyhow::{Context as _, Error, Result};
use ddpipe_nn::augment::Combined;
use ddpipe_nn::network::{Network, Parameters};
use ddpipe_nn::optim::Sgd;
use std::cell::RefCell;
use tch::Tensor;

const NETWORK: &str = "network.";
const VELOCITY: &str = "velocity.";

/// A network in training.
#[derive(Debug)]
pub struct TrainedNetwork {
    /// Its weights.
    pub parameters: Parameters,
    /// One per weight tensor; empty before the first batch.
    velocity: Vec<Tensor>,
    /// Of its trainings in this process.
    unread: UnreadLoss,
}

impl TrainedNetwork {
    /// One that was not trained here.
    pub fn new(parameters: Parameters) -> Self {
        TrainedNetwork { parameters, velocity: Vec::new(), unread: UnreadLoss::default() }
    }

    /// The same, sharing its tensors.
    pub fn shared(&self) -> Self {
        let velocity = self.velocity.iter().map(Tensor::shallow_clone).collect();
        TrainedNetwork { parameters: self.parameters.clone(), velocity, unread: self.unread.shared() }
    }

    /// The error of a step, or that the network's training diverged before it.
    pub fn blamed(&self, error: Error) -> Error {
        self.unread.blamed(error, "the network's training on real images, where a lower lr_net may help")
    }

    /// Adds it to a checkpoint.
    pub fn store(&self, network: &Network, checkpoint: &mut Checkpoint) {
        for (name, tensor) in network.state_dict(&self.parameters) {
            checkpoint.put(format!("{NETWORK}{name}"), &tensor);
        }
        for (spec, tensor) in network.trainable().zip(&self.velocity) {
            checkpoint.put(format!("{VELOCITY}{}", spec.name), tensor);
        }
    }

    /// The network in a checkpoint; none where it was saved before there was one.
    pub fn restore(network: &Network, checkpoint: &Checkpoint) -> Result<Option<Self>> {
        let weights = checkpoint.below(NETWORK);
        if weights.is_empty() {
            return Ok(None);
        }
        let parameters = network.load(&weights).context("the checkpoint")?;
        let mut velocity = checkpoint.below(VELOCITY);
        let velocity: Option<Vec<Tensor>> = network.trainable().map(|spec| velocity.remove(&spec.name)).collect();
        Ok(Some(TrainedNetwork { velocity: velocity.unwrap_or_default(), ..Self::new(parameters) }))
    }
}

/// How the network is trained on real images.
pub struct RealTraining<'a> {
    /// The real images.
    pub dataset: &'a Dataset,
    /// The network.
    pub network: &'a Network,
    /// Images per batch.
    pub batch: i64,
    /// Learning rate.
    pub lr: f64,
    /// Momentum and weight decay.
    pub sgd: Sgd,
    /// What changes images and labels.
    pub augment: Combined,
    /// Seed of the shuffling streams.
    pub seed: u64,
    /// The order of the epoch that its batches are in; empty at first.
    pub orders: RefCell<Orders>,
}

impl RealTraining<'_> {
    /// Batches of one pass over the real images; the last may be smaller.
    pub fn per_epoch(&self) -> u64 {
        (self.dataset.len() as u64).div_ceil(self.batch as u64).max(1)
    }

    /// Batches that have at least so many images, at most a pass.
    pub fn of_images(&self, images: u64) -> u64 {
        images.div_ceil(self.batch as u64).min(self.per_epoch())
    }

    /// Trains on so many batches, from number `first` on. `tick` is called after each and may end it.
    pub fn train(
        &self,
        trained: TrainedNetwork,
        first: u64,
        batches: u64,
        tick: impl FnMut() -> Result<()>,
    ) -> Result<TrainedNetwork> {
        if batches == 0 {
            return Ok(trained);
        }
        let last = first + batches;
        let epochs = last.div_ceil(self.per_epoch());
        let settings = Settings::plain(epochs, self.batch, self.lr, self.sgd, self.seed);
        let settings = Settings { max_steps: Some(last), ..settings };
        let training = Training {
            phases: &[Phase { network: self.network.clone(), settings }],
            direction: &cross_entropy_gradient,
            examples: self.dataset,
            augment: Some(&self.augment),
        };
        let TrainedNetwork { parameters, velocity, unread } = trained;
        let state = State::new(parameters).at(velocity, first / self.per_epoch(), first % self.per_epoch());
        let state = training
            .run_in(&mut self.orders.borrow_mut(), state, &mut Cancellable(tick))
            .context("the network's training on real images")?;
        let unread = unread.and(&state)?;
        Ok(TrainedNetwork { parameters: state.parameters, velocity: state.memory.velocity, unread })
    }
}
