//! The training loop: shuffled batches, one optimiser step for each, epoch after epoch.

use super::order::Orders;
use super::state::Unread;
use super::{Batch, Examples, Gradient, Observer, Reading, State};
use anyhow::{Result, ensure};
use ddpipe_nn::augment::Augment;
use ddpipe_nn::network::{Chunk, Network, Parameters};
use ddpipe_nn::optim::{Schedule, Sgd};
use ddpipe_nn::pieces::Graph;
use tch::{TchError, Tensor};

/// Epochs whose results stay on the device before they are read together.
const UNREAD: usize = 50;

/// A function that returns the gradient (more generally, the direction against which a step goes) of a network with
/// these parameters on a batch, which it may pass through the network in chunks.
/// [`cross_entropy_gradient`](super::cross_entropy_gradient) is the usual one.
pub type Direction<'a> = &'a dyn Fn(&Network, &Parameters, &Batch, Chunk) -> Result<Gradient, TchError>;

/// The settings of a training, or of one phase of it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The number of epochs for the schedule; [`Schedule::epochs`] of them are run.
    pub epochs: u64,
    /// The number of images per step; the last batch of an epoch may be smaller.
    pub batch_size: i64,
    /// The initial learning rate.
    pub rate: f64,
    /// How the learning rate changes from epoch to epoch.
    pub schedule: Schedule,
    /// The optimiser.
    pub sgd: Sgd,
    /// The seed of the streams that shuffle the images.
    pub seed: u64,
    /// Ends the training after this many steps, in the middle of an epoch if need be; `None` for no limit. The learning
    /// rates do not change by it.
    pub max_steps: Option<u64>,
}

impl Settings {
    /// The number of steps of one epoch over `images` images.
    pub fn steps_per_epoch(&self, images: i64) -> u64 {
        (images.max(0) as u64).div_ceil(self.batch_size.max(1) as u64)
    }

    /// The number of steps that a training in this state has done, at most [`steps`](Self::steps).
    pub fn done(&self, state: &State, images: i64) -> u64 {
        state.epoch * self.steps_per_epoch(images) + state.batch
    }

    /// The number of steps of the whole training on `images` images.
    pub fn steps(&self, images: i64) -> u64 {
        let steps = self.schedule.epochs(self.epochs) * self.steps_per_epoch(images);
        self.max_steps.map_or(steps, |most| most.min(steps))
    }
}

/// A part of a training with its own settings and its own frozen parameters ([`Network::freeze`]).
#[derive(Clone, Debug)]
pub struct Phase {
    /// The network, its frozen parameters marked.
    pub network: Network,
    /// The settings of the training in this phase.
    pub settings: Settings,
}

/// A training: phases, examples, and the function that returns the gradient. [`run`](Self::run) carries it out.
pub struct Training<'a> {
    /// The phases, one after the other. Epochs and steps are counted over all of them; each phase starts its schedule
    /// from the beginning, with an empty velocity.
    pub phases: &'a [Phase],
    /// Returns the gradient for a step.
    pub direction: Direction<'a>,
    /// The training images and labels.
    pub examples: &'a dyn Examples,
    /// The augmentation of batches, if any.
    pub augment: Option<&'a dyn Augment>,
}

impl Training<'_> {
    /// The number of steps of all phases.
    pub fn steps(&self) -> u64 {
        self.phases.iter().map(|phase| phase.settings.steps(self.examples.count())).sum()
    }

    /// Trains from `state` to the end and returns the final state. Epoch e is shuffled by `stream(seed, "shuffle", e)`;
    /// a training that continues from any state gives the same parameters as one that was not interrupted. An error if
    /// there are no images or the observer returns one.
    pub fn run(&self, state: State, observer: &mut dyn Observer) -> Result<State> {
        self.run_in(&mut Orders::default(), state, observer)
    }

    /// The same for a training that is done in several runs, which share the orders that were drawn.
    pub fn run_in(&self, orders: &mut Orders, mut state: State, observer: &mut dyn Observer) -> Result<State> {
        let count = self.examples.count();
        ensure!(count > 0, "there are no images to train on");
        let mut first = Start::default();
        for Phase { network, settings } in self.phases {
            ensure!(
                settings.batch_size > 0,
                "a batch of {} images is too small; expected at least 1",
                settings.batch_size
            );
            if !(Run { training: self, network, settings, first }.go(&mut state, orders, observer)?) {
                return Ok(state);
            }
            let steps = settings.steps(count);
            first.epoch += steps.div_ceil(settings.steps_per_epoch(count));
            first.step += steps;
        }
        Ok(state)
    }
}

/// The numbers of epochs and steps of the earlier phases.
#[derive(Clone, Copy, Default)]
struct Start {
    epoch: u64,
    step: u64,
}

/// One phase of a training.
struct Run<'a> {
    training: &'a Training<'a>,
    network: &'a Network,
    settings: &'a Settings,
    first: Start,
}

impl Run<'_> {
    /// Continues from `state` to the end of the phase, if it is not there yet. Returns false if the training diverged.
    fn go(&self, state: &mut State, orders: &mut Orders, observer: &mut dyn Observer) -> Result<bool> {
        let Run { training, network, settings, first } = *self;
        let Training { direction, examples, augment, .. } = *training;
        let count = examples.count();
        let (batches, steps) = (settings.steps_per_epoch(count), settings.steps(count));
        let chunk = network.chunk(examples.device(), Graph::Kept);
        while state.epoch.saturating_sub(first.epoch) * batches < steps {
            let (epoch, own) = (state.epoch, state.epoch.saturating_sub(first.epoch));
            let anew = own == 0 && first.epoch > 0;
            if state.batch == 0 && (anew || settings.schedule.empties_velocity(settings.epochs, own)) {
                state.velocity.clear();
            }
            let rate = settings.schedule.rate(settings.rate, settings.epochs, own);
            let left = steps.div_ceil(batches).saturating_sub(own);
            let order = orders.of(settings.seed, count, examples.device(), epoch, left);
            let last = batches.min(steps - own * batches);
            while state.batch < last {
                let start = state.batch as i64 * settings.batch_size;
                let positions = order.narrow(0, start, settings.batch_size.min(count - start));
                let mut batch = examples.at(&positions)?;
                let step = first.step + own * batches + state.batch;
                if let Some(augment) = augment {
                    let classes = network.spec().classes;
                    (batch.images, batch.labels) = augment.batch(&batch.images, &batch.labels, classes, step)?;
                }
                let now = direction(network, &state.parameters, &batch, chunk)?;
                let before = &state.parameters.trainable;
                let stepped = settings.sgd.step(rate, before, &now.gradients, &mut state.velocity)?;
                state.parameters = Parameters { trainable: stepped, buffers: now.buffers };
                let summed = now.loss.to_kind(tch::Kind::Double) * batch.len();
                state.sums = &state.sums + Tensor::stack(&[summed, now.right.sum(tch::Kind::Double)], 0);
                state.batch += 1;
                observer.batch(&positions, &now.right)?;
                observer.step(state, &now.loss)?;
            }
            let seen = count.min(last as i64 * settings.batch_size) as f64;
            let done = Unread { epoch, rate, seen, sums: state.sums.shallow_clone() };
            if observer.reading() == Reading::EachEpoch {
                let Some(mut result) = done.read()? else {
                    observer.diverged(epoch)?;
                    return Ok(false);
                };
                result.accuracy = observer.epoch(state, &result)?;
                state.history.push(result);
            } else {
                state.unread.push(done);
            }
            state.epoch += 1;
            state.batch = 0;
            state.sums = state.sums.zeros_like();
            if state.unread.len() >= UNREAD && !self.read(state, observer)? {
                return Ok(false);
            }
        }
        self.read(state, observer)
    }

    /// Reads the results of epochs that were not read, unless they are for later. Returns false if the training diverged.
    fn read(&self, state: &mut State, observer: &mut dyn Observer) -> Result<bool> {
        if observer.reading() == Reading::Later {
            return Ok(true);
        }
        match state.read()? {
            None => Ok(true),
            Some(epoch) => observer.diverged(epoch).map(|()| false),
        }
    }
}
