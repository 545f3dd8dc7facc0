//! Forgetting events (Toneva et al., ICLR 2019): how often a network unlearns an image while it is trained. The loop is
//! `common::train`; here is what is counted, and that a training which was interrupted continues counting.

use super::Params;
use crate::artifact::Dataset;
use crate::common::network::Network;
use crate::common::stream::stream;
use crate::common::train::{self, LossReader, Observer, Schedule, Settings, Sgd, State};
use crate::context::{Checkpoint, Context};
use anyhow::Result;
use indexmap::IndexMap;
use serde_json::json;
use std::cmp::Reverse;
use tch::{Device, Kind, Tensor};

const SGD: Sgd = Sgd { momentum: 0.9, weight_decay: 0.0005 };

/// What was counted for each of N images.
#[derive(Debug)]
pub struct Events {
    /// How often the image was classified wrongly when it had been classified rightly the time before, \[N\] int64.
    forgotten: Tensor,
    /// Whether it was classified rightly the last time it was seen, \[N\] bool.
    known: Tensor,
    /// Whether it was ever classified rightly, \[N\] bool.
    learnt: Tensor,
}

impl Events {
    /// Of N images that were not seen yet.
    pub fn new(count: i64, device: Device) -> Self {
        Events {
            forgotten: Tensor::zeros([count], (Kind::Int64, device)),
            known: Tensor::zeros([count], (Kind::Bool, device)),
            learnt: Tensor::zeros([count], (Kind::Bool, device)),
        }
    }

    /// Counts one batch: positions \[B\] int64, none of them twice, and whether they were classified rightly (bool).
    pub fn count(&mut self, positions: &Tensor, right: &Tensor) -> Result<()> {
        let known = self.known.f_index_select(0, positions)?;
        let events = known.f_logical_and(&right.f_logical_not()?)?.f_to_kind(Kind::Int64)?;
        self.forgotten = self.forgotten.f_index_add(0, positions, &events)?;
        let learnt = self.learnt.f_index_select(0, positions)?.f_logical_or(right)?;
        self.learnt = self.learnt.f_index_copy(0, positions, &learnt)?;
        self.known = self.known.f_index_copy(0, positions, right)?;
        Ok(())
    }

    /// The number of events of every image; nothing for one that was never classified rightly.
    pub fn per_image(&self) -> Result<Vec<Option<u64>>> {
        let forgotten = Vec::<i64>::try_from(self.forgotten.to_device(Device::Cpu))?;
        let learnt = Vec::<bool>::try_from(self.learnt.to_device(Device::Cpu))?;
        Ok(forgotten.into_iter().zip(learnt).map(|(events, learnt)| learnt.then_some(events as u64)).collect())
    }

    fn store(&self, tensors: &mut IndexMap<String, Tensor>) {
        tensors.insert("forgotten".into(), self.forgotten.shallow_clone());
        tensors.insert("known".into(), self.known.to_kind(Kind::Uint8));
        tensors.insert("learnt".into(), self.learnt.to_kind(Kind::Uint8));
    }

    fn restore(checkpoint: &Checkpoint) -> Result<Self> {
        let flags = |name| anyhow::Ok(checkpoint.get(name)?.to_kind(Kind::Bool));
        Ok(Events { forgotten: checkpoint.get("forgotten")?.copy(), known: flags("known")?, learnt: flags("learnt")? })
    }
}

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
