//! The network that the images meet: it learns from real images in between, with augmentation and CutMix, and its
//! weights and velocity travel in the checkpoints. Batches are numbered over the whole run, so that any of them can be
//! drawn again.

use crate::artifact::Dataset;
use crate::common::network::{Chunk, Network, Parameters};
use crate::common::stream::stream;
use crate::common::train::{Augment, Combined, Examples, Sgd, gradient};
use anyhow::{Context as _, Result, ensure};
use std::collections::BTreeMap;
use tch::Tensor;

const NETWORK: &str = "network.";
const VELOCITY: &str = "velocity.";

/// A network in training.
#[derive(Debug)]
pub struct Learner {
    /// Its weights.
    pub parameters: Parameters,
    /// One per weight tensor; empty before the first batch.
    velocity: Vec<Tensor>,
}

impl Learner {
    /// One that has not learnt here.
    pub fn new(parameters: Parameters) -> Self {
        Learner { parameters, velocity: Vec::new() }
    }

    /// For a checkpoint.
    pub fn tensors(&self, network: &Network) -> Vec<(String, Tensor)> {
        let weights = network.state_dict(&self.parameters).into_iter();
        let weights = weights.map(|(name, tensor)| (format!("{NETWORK}{name}"), tensor));
        let velocity = network.trainable().zip(&self.velocity);
        weights
            .chain(velocity.map(|(spec, tensor)| (format!("{VELOCITY}{}", spec.name), tensor.shallow_clone())))
            .collect()
    }

    /// Back from a checkpoint.
    pub fn restore(network: &Network, tensors: &BTreeMap<String, Tensor>) -> Result<Self> {
        let own =
            |(name, tensor): (&String, &Tensor)| Some((name.strip_prefix(NETWORK)?.into(), tensor.shallow_clone()));
        let parameters = network.load(&tensors.iter().filter_map(own).collect()).context("the checkpoint")?;
        let velocity = network.trainable().map(|spec| tensors.get(&format!("{VELOCITY}{}", spec.name)));
        let velocity = velocity.map(|tensor| tensor.map(Tensor::shallow_clone)).collect::<Option<_>>();
        Ok(Learner { parameters, velocity: velocity.unwrap_or_default() })
    }
}

/// What stays the same over all lessons.
pub struct Lessons<'a> {
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
    /// Of the streams.
    pub seed: u64,
}

impl Lessons<'_> {
    /// Batches of one pass over the real images; the last may be smaller.
    pub fn per_epoch(&self) -> u64 {
        (self.dataset.len() as u64).div_ceil(self.batch as u64).max(1)
    }

    /// Batches that have at least so many images, at most a pass.
    pub fn of_images(&self, images: u64) -> u64 {
        images.div_ceil(self.batch as u64).min(self.per_epoch())
    }

    /// Teaches so many batches, from number `first` on. `tick` is called after each and may end it.
    pub fn teach(
        &self,
        mut learner: Learner,
        first: u64,
        batches: u64,
        mut tick: impl FnMut() -> Result<()>,
    ) -> Result<Learner> {
        let (count, device) = (self.dataset.len(), self.dataset.device());
        let mut order: Option<(u64, Tensor)> = None;
        let mut loss = None;
        for number in first..first + batches {
            let (epoch, place) = (number / self.per_epoch(), (number % self.per_epoch()) as i64);
            let shuffled = match order.take() {
                Some((shuffled, order)) if shuffled == epoch => order,
                _ => Tensor::from_slice(&stream(self.seed, "shuffle", epoch).permutation(count)).f_to_device(device)?,
            };
            let start = place * self.batch;
            let positions = shuffled.f_narrow(0, start, self.batch.min(count - start))?;
            order = Some((epoch, shuffled));
            let (images, labels) = self.dataset.at(&positions)?;
            let (images, labels) = self.augment.batch(&images, &labels, self.network.spec().classes, number)?;
            let now = gradient(self.network, &learner.parameters, &images, &labels, Chunk::training(device))?;
            let Learner { parameters, velocity } = &mut learner;
            let trainable = self.sgd.step(self.lr, &parameters.trainable, &now.gradients, velocity)?;
            *parameters = Parameters { trainable, buffers: now.buffers };
            loss = Some(now.loss);
            tick()?;
        }
        if let Some(loss) = loss {
            let loss = f64::try_from(loss)?;
            ensure!(loss.is_finite(), "the network's loss on real images is {loss}; a lower lr_net may help");
        }
        Ok(learner)
    }
}
