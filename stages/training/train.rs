//! The training loop: shuffled batches, one optimiser step for each, epoch after epoch.

use super::order::Orders;
use super::state::Unread;
use super::{Batch, Examples, Gradient, Observer, Reading, Settings, State};
use anyhow::{Result, ensure};
use ddpipe_nn::augment::Augment;
use ddpipe_nn::network::{Chunk, Network, Parameters, seen_twice};
use ddpipe_nn::optim::Averaged;
use ddpipe_nn::pieces::Graph;
use ddpipe_nn::stream::stream;
use tch::{TchError, Tensor};

/// Epochs whose results stay on the device before they are read together.
const UNREAD: usize = 50;

/// A function that returns the gradient (more generally, the direction against which a step goes) of a network with
/// these parameters on a batch, which it may pass through the network in chunks.
/// [`cross_entropy_gradient`](super::cross_entropy_gradient) is the usual one.
pub type Direction<'a> = &'a dyn Fn(&Network, &Parameters, &Batch, Chunk) -> Result<Gradient, TchError>;

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
    /// from the beginning, with a new optimiser.
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

    /// The number of epochs of all phases, the last one of each being whole or not.
    pub fn epochs(&self) -> u64 {
        let count = self.examples.count();
        let epochs = |settings: &Settings| settings.steps(count).div_ceil(settings.steps_per_epoch(count).max(1));
        self.phases.iter().map(|phase| epochs(&phase.settings)).sum()
    }

    /// Trains from `state` to the end and returns the final state, whose parameters are the average over the last phase
    /// where there is one. Epoch e is shuffled by `stream(seed, "shuffle", e)`;
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
        if let Some(average) = self.phases.last().and_then(|phase| phase.settings.average) {
            state.parameters = state.averaged(average)?;
        }
        Ok(state)
    }
}

/// All that an average is taken of: parameters, then running statistics.
pub(super) fn values(parameters: &Parameters) -> impl Iterator<Item = &Tensor> {
    parameters.trainable.iter().chain(&parameters.buffers)
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
        let (length, steps) = (settings.length(count), settings.steps(count));
        let batches = length.batches;
        let chunk = network.chunk(examples.device(), Graph::Kept);
        while state.epoch.saturating_sub(first.epoch) * batches < steps {
            let (epoch, own) = (state.epoch, state.epoch.saturating_sub(first.epoch));
            let anew = own == 0 && first.epoch > 0;
            if state.batch == 0 && (anew || settings.schedule.empties_velocity(settings.epochs, own)) {
                state.memory.clear();
            }
            if state.batch == 0 && anew {
                state.averaged = Averaged::default();
            }
            let rate = |batch| settings.course.rate(settings.schedule, settings.rate, length, own, batch);
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
                if settings.dropout > 0.0 {
                    let mut drawn = stream(settings.seed, "dropout", step);
                    batch.dropout = network.dropout(settings.dropout, batch.len(), &mut drawn, examples.device())?;
                }
                let now = direction(network, &state.parameters, &batch, chunk)?;
                let before = &state.parameters;
                let (rate, memory) = (rate(state.batch), &mut state.memory);
                let trainable = settings.optimiser.step(network, rate, &before.trainable, &now.gradients, memory)?;
                let buffers = match settings.seen_twice {
                    true => seen_twice(&before.buffers, &now.buffers)?,
                    false => now.buffers,
                };
                let after = Parameters { trainable, buffers };
                if let Some(average) = settings.average {
                    average.add(values(before), values(&after), &mut state.averaged)?;
                }
                state.parameters = after;
                let summed = now.loss.to_kind(tch::Kind::Double) * batch.len();
                state.sums = &state.sums + Tensor::stack(&[summed, now.right.sum(tch::Kind::Double)], 0);
                state.batch += 1;
                observer.batch(&positions, &now.right)?;
                observer.step(state, &now.loss)?;
            }
            let seen = count.min(last as i64 * settings.batch_size) as f64;
            let done = Unread { epoch, rate: rate(0), seen, sums: state.sums.shallow_clone() };
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
