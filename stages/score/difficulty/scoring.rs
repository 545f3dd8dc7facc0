//! One network of several: it is trained, and asked about every image. What stays the same over all of them, and how far
//! all are, is told and saved after every step.

use super::BATCH;
use super::measure::Measure;
use super::standing::Standing;
use crate::artifact::Dataset;
use crate::common::network::Network;
use crate::common::train::{self, LossReader, Observer, State, TrainingParams};
use crate::context::Context;
use anyhow::{Context as _, Result};
use std::time::Instant;
use tch::{Kind, Tensor};

/// What stays the same over all networks.
pub(super) struct Surroundings<'a> {
    pub ctx: &'a Context,
    pub network: &'a Network,
    pub real: &'a Dataset,
    /// None where what is forgotten in training is counted.
    pub measure: Option<Measure>,
    /// Steps of a training, and of a whole network: those of the training and one for each batch it is asked about.
    pub steps: u64,
    pub each: u64,
    pub total: u64,
    pub started: Instant,
}

impl Surroundings<'_> {
    /// Trains a network from where it stands, and counts what it forgets where that is wanted.
    pub fn train(&self, params: &TrainingParams, seed: u64, state: State, standing: &mut Standing) -> Result<State> {
        let settings = params.settings(seed);
        let augment = params.augmentation(self.network, seed);
        let mut watch = Watch { around: self, standing, loss: LossReader::default() };
        train::train(self.network, state, self.real, &settings, augment.as_deref(), &mut watch)
    }

    /// What the trained network makes of all images, \[N\] float64.
    pub fn scores(&self, state: &State, epochs: u64, standing: &mut Standing) -> Result<Tensor> {
        let Some(measure) = self.measure else {
            let counts = standing.events.as_ref().context("nothing was counted")?.per_image()?;
            // Never learnt is harder than forgotten as often as there was time for.
            let counts: Vec<f64> = counts.into_iter().map(|count| count.unwrap_or(epochs) as f64).collect();
            return Ok(Tensor::f_from_slice(&counts)?.f_to_device(self.ctx.device)?);
        };
        let count = self.real.len();
        while standing.scored < count {
            let end = (standing.scored + BATCH).min(count);
            let positions = Tensor::f_arange_start(standing.scored, end, (Kind::Int64, self.real.labels.device()))?;
            let (images, labels) = (self.real.floats_at(&positions), self.real.labels.f_index_select(0, &positions)?);
            standing.parts.push(measure.of(self.network, &state.parameters, &images, &labels)?);
            standing.scored = end;
            self.tell(state, self.steps + (end as u64).div_ceil(BATCH as u64), None, standing)?;
        }
        Ok(Tensor::f_cat(&standing.parts, 0)?)
    }

    fn tell(&self, state: &State, done: u64, loss: Option<f64>, standing: &Standing) -> Result<()> {
        let step = standing.finished.len() as u64 * self.each + done;
        self.ctx.step(step, self.total, "steps", loss, || {
            standing.checkpoint(step, self.network, state, self.seconds(standing))
        })
    }

    /// Since the stage began, in all processes.
    pub fn seconds(&self, standing: &Standing) -> f64 {
        standing.seconds + self.started.elapsed().as_secs_f64()
    }
}

struct Watch<'a> {
    around: &'a Surroundings<'a>,
    standing: &'a mut Standing,
    loss: LossReader,
}

impl Observer for Watch<'_> {
    fn answered(&mut self, positions: &Tensor, right: &Tensor) -> Result<()> {
        self.standing.events.as_mut().map_or(Ok(()), |events| events.count(positions, right))
    }

    fn step(&mut self, state: &State, done: u64, _total: u64, loss: &Tensor) -> Result<()> {
        let loss = self.loss.read(loss);
        self.around.tell(state, done, loss, self.standing)
    }
}
