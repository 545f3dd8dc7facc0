//! One network of a scoring run: it is trained, and then scores every image. Progress and checkpoints cover all
//! networks.

use super::BATCH;
use super::measure::Measure;
use super::state::ScoringState;
use crate::artifact::Dataset;
use crate::context::Context;
use crate::training::{Phase, Progress, State, Training, TrainingParams, cross_entropy_gradient};
use anyhow::{Context as _, Result};
use ddpipe_nn::network::Network;
use tch::{Kind, Tensor};

/// What all networks of a scoring run share.
pub(super) struct ScoringRun<'a> {
    pub ctx: &'a Context,
    pub network: &'a Network,
    pub real: &'a Dataset,
    /// The score that a trained network computes; `None` for forgetting events, which are counted in training.
    pub measure: Option<Measure>,
    /// The number of optimiser steps of one training.
    pub steps: u64,
    /// Units of progress of one network: the steps of its training, and one for each batch that it scores.
    pub each: u64,
    /// Units of progress of all networks.
    pub total: u64,
}

impl ScoringRun<'_> {
    /// Trains a network, continuing from `state`, and counts forgetting events if `scoring` has them.
    pub fn train(&self, params: &TrainingParams, seed: u64, state: State, scoring: &ScoringState) -> Result<State> {
        let settings = params.settings(seed);
        let augment = params.augmentation(self.network, seed);
        let training = Training {
            phases: &[Phase { network: self.network.clone(), settings: settings.clone() }],
            direction: &cross_entropy_gradient,
            examples: self.real,
            augment: augment.as_deref(),
        };
        let done = |state: &State| settings.done(state, self.real.len());
        let mut progress = self.progress(scoring, done).on_batch(|positions, right| {
            scoring.events.as_ref().map_or(Ok(()), |events| events.borrow_mut().count(positions, right))
        });
        training.run(state, &mut progress)
    }

    /// \[N\] float64, the scores of all images by the trained network. An image that was never learnt scores `epochs`.
    pub fn scores(&self, state: &State, epochs: u64, scoring: &mut ScoringState) -> Result<Tensor> {
        let Some(measure) = self.measure else {
            let counts = scoring.events.as_ref().context("nothing was counted")?.borrow().per_image()?;
            // An image that was never learnt is harder than one that was forgotten as often as possible.
            let counts: Vec<f64> = counts.into_iter().map(|count| count.unwrap_or(epochs) as f64).collect();
            return Ok(Tensor::f_from_slice(&counts)?.f_to_device(self.ctx.device)?);
        };
        let count = self.real.len();
        while scoring.scored < count {
            let end = (scoring.scored + BATCH).min(count);
            let positions = Tensor::f_arange_start(scoring.scored, end, (Kind::Int64, self.real.labels.device()))?;
            let (images, labels) = (self.real.floats_at(&positions), self.real.labels.f_index_select(0, &positions)?);
            scoring.parts.push(measure.of(self.network, &state.parameters, &images, &labels)?);
            scoring.scored = end;
            let done = self.steps + (end as u64).div_ceil(BATCH as u64);
            self.progress(scoring, |_: &State| done).report().tell(state, None)?;
        }
        Ok(Tensor::f_cat(&scoring.parts, 0)?)
    }

    fn progress<'a>(&'a self, scoring: &'a ScoringState, done: impl Fn(&State) -> u64 + 'a) -> Progress<'a> {
        Progress::new(self.ctx, self.network, self.total, done).after(scoring.finished.len() as u64 * self.each).saving(
            |checkpoint, _| {
                scoring.store(checkpoint);
                Ok(())
            },
        )
    }
}
