//! The choice by forgetting events (Toneva et al., ICLR 2019): how often a network unlearns an image while it is trained.
//! What is counted is in `common::forgetting`; here a network is trained for it, and one that was interrupted continues.

use super::Params;
use crate::artifact::Dataset;
use crate::common::forgetting::Events;
use crate::common::network::Network;
use crate::common::stream::stream;
use crate::common::train::{self, LossReader, Observer, Schedule, Settings, Sgd, State};
use crate::context::{Checkpoint, Context};
use anyhow::Result;
use indexmap::IndexMap;
use serde_json::json;
use std::cmp::Reverse;
use tch::Tensor;

const SGD: Sgd = Sgd { momentum: 0.9, weight_decay: 0.0005 };

/// The first `amount` of `positions`, most forgotten first. An image that was never learnt counts as forgotten without
/// end; of images forgotten equally often the first comes first.
pub fn most_forgotten(positions: &[i64], events: &[Option<u64>], amount: usize) -> Vec<i64> {
    let mut order = positions.to_vec();
    order.sort_by_key(|&position| Reverse(events[position as usize].map_or(u64::MAX, |events| events)));
    order.truncate(amount);
    order
}

/// Trains a fresh network on all images and counts.
pub(super) fn count_events(
    ctx: &Context,
    network: &Network,
    real: &Dataset,
    params: &Params,
) -> Result<Vec<Option<u64>>> {
    let (state, events) = match ctx.resume() {
        Some(checkpoint) => {
            let training = &checkpoint.state["training"];
            (State::restore(network, &checkpoint.tensors, training)?, Events::restore(&checkpoint)?)
        }
        None => {
            let parameters = network.init(stream(ctx.seed, "network", 0).generator(), ctx.device)?;
            (State::new(parameters), Events::new(real.len(), real.images.device()))
        }
    };
    let Params { epochs, batch_size, lr, .. } = *params;
    let (schedule, seed) = (Schedule::Constant, ctx.seed);
    let settings = Settings { epochs, batch_size, rate: lr, schedule, sgd: SGD, seed, max_steps: None };
    let mut watch = Watch { ctx, network, events, loss: LossReader::default() };
    train::train(network, state, real, &settings, None, &mut watch)?;
    watch.events.per_image()
}

struct Watch<'a> {
    ctx: &'a Context,
    network: &'a Network,
    events: Events,
    loss: LossReader,
}

impl Observer for Watch<'_> {
    fn answered(&mut self, positions: &Tensor, right: &Tensor) -> Result<()> {
        self.events.count(positions, right)
    }

    fn step(&mut self, state: &State, done: u64, total: u64, loss: &Tensor) -> Result<()> {
        let loss = self.loss.read(loss);
        self.ctx.step(done, total, "steps", loss, || {
            let mut tensors = IndexMap::new();
            let training = state.store(self.network, &mut tensors);
            self.events.store(&mut tensors);
            Checkpoint { step: done, tensors, state: json!({ "training": training }) }
        })
    }
}
