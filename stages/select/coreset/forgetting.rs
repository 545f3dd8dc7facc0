//! The selection by forgetting events (Toneva et al., ICLR 2019): how often a network unlearns an image while it is
//! trained. The events are counted in `training::forgetting`; this file trains the network, and continues an
//! interrupted training.

use super::Params;
use crate::artifact::Dataset;
use crate::context::Context;
use crate::training::forgetting::Events;
use crate::training::{Phase, Progress, Settings, State, Training, cross_entropy_gradient};
use anyhow::Result;
use ddpipe_nn::network::Network;
use ddpipe_nn::optim::Sgd;
use ddpipe_nn::stream::stream;
use std::cell::RefCell;
use std::cmp::Reverse;

const SGD: Sgd = Sgd { momentum: 0.9, weight_decay: 0.0005 };

/// The first `amount` of `positions`, most forgotten first; `events` holds the number of events of every image, `None`
/// if it was never learnt. Such an image comes before all others. Of images forgotten equally often the first comes
/// first.
pub fn most_forgotten(positions: &[i64], events: &[Option<u64>], amount: usize) -> Vec<i64> {
    let mut order = positions.to_vec();
    order.sort_by_key(|&position| Reverse(events[position as usize].map_or(u64::MAX, |events| events)));
    order.truncate(amount);
    order
}

/// Trains a network with fresh weights on all images, and returns the number of forgetting events of each image, `None`
/// if it was never learnt.
pub(super) fn count_events(
    ctx: &Context,
    network: &Network,
    real: &Dataset,
    params: &Params,
) -> Result<Vec<Option<u64>>> {
    let (state, events) = match ctx.resume() {
        Some(checkpoint) => (State::resume(network, &checkpoint)?, Events::restore(&checkpoint)?),
        None => {
            let parameters = network.init(stream(ctx.seed, "network", 0).generator(), ctx.device)?;
            (State::new(parameters), Events::new(real.len(), real.images.device()))
        }
    };
    let events = RefCell::new(events);
    let Params { epochs, batch_size, lr, .. } = *params;
    let settings = Settings::plain(epochs, batch_size, lr, SGD, ctx.seed);
    let training = Training {
        phases: &[Phase { network: network.clone(), settings: settings.clone() }],
        direction: &cross_entropy_gradient,
        examples: real,
        augment: None,
    };
    let mut progress = Progress::new(ctx, network, training.steps(), |state: &State| settings.done(state, real.len()))
        .on_batch(|positions, right| events.borrow_mut().count(positions, right))
        .saving(|checkpoint, _| {
            events.borrow().store(&mut checkpoint.tensors);
            Ok(())
        });
    training.run(state, &mut progress)?;
    drop(progress);
    events.into_inner().per_image()
}
