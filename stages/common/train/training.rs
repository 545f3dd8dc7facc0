//! The training loop: shuffled batches, one optimiser step each, epoch after epoch.

use super::{Augment, EpochResult, Examples, Gradient, Schedule, Sgd, State, gradient};
use crate::common::network::{Chunk, Network, Parameters};
use crate::common::stream::stream;
use anyhow::{Result, bail, ensure};
use tch::{TchError, Tensor};

/// The direction that a step goes against: of a network with these parameters on a batch of images and labels, taken
/// through the network a chunk at a time. [`gradient`] is the usual one.
pub type Direction<'a> = &'a dyn Fn(&Network, &Parameters, &Tensor, &Tensor, Chunk) -> Result<Gradient, TchError>;

/// What stays the same over a training.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Epochs, as the schedule counts them ([`Schedule::epochs`] are run).
    pub epochs: u64,
    /// Images per step; the last batch of an epoch may be smaller.
    pub batch_size: i64,
    /// The learning rate to start with.
    pub rate: f64,
    /// How it goes on.
    pub schedule: Schedule,
    /// The optimiser.
    pub sgd: Sgd,
    /// Seed of the shuffling streams.
    pub seed: u64,
    /// Ends the training after so many steps, in the middle of an epoch if need be. The rates stay those of the epochs.
    pub max_steps: Option<u64>,
}

impl Settings {
    /// Steps in one epoch over so many images.
    pub fn steps_per_epoch(&self, images: i64) -> u64 {
        (images.max(0) as u64).div_ceil(self.batch_size.max(1) as u64)
    }

    /// Steps of the whole training on so many images.
    pub fn steps(&self, images: i64) -> u64 {
        let steps = self.schedule.epochs(self.epochs) * self.steps_per_epoch(images);
        self.max_steps.map_or(steps, |most| most.min(steps))
    }
}

/// A part of a training with settings of its own, and with parameters of its own that are frozen
/// ([`Network::freeze`]).
#[derive(Clone, Debug)]
pub struct Phase {
    /// The network, its frozen parameters marked.
    pub network: Network,
    /// How it is trained.
    pub settings: Settings,
}

/// Watches a training; an error ends it.
pub trait Observer {
    /// With every batch, before `step`: the positions of its images (\[B\] int64) and which of them the parameters
    /// before the step classified rightly (\[B\] bool).
    fn answered(&mut self, _positions: &Tensor, _right: &Tensor) -> Result<()> {
        Ok(())
    }

    /// After every step. `done` of `total` steps are done, and `loss` gives the loss of this one; asking for it makes
    /// the host wait for the device.
    fn step(&mut self, state: &State, done: u64, total: u64, loss: &Tensor) -> Result<()>;

    /// After the last batch of every epoch. May return an accuracy on held-out images, which is kept in the history. A
    /// training that is continued from the state seen here asks again.
    fn epoch(&mut self, _state: &State, _result: &EpochResult) -> Result<Option<f64>> {
        Ok(None)
    }

    /// When the loss of an epoch is no longer finite. Without an error the training ends there, and its state says that
    /// it [`diverged`](State::diverged).
    fn diverged(&mut self, epoch: u64) -> Result<()> {
        bail!("the loss is no longer finite in epoch {epoch}; a lower learning rate may help")
    }
}

/// Trains from `state` to the end and returns the state there. Epoch e is shuffled by `stream(seed, "shuffle", e)`; a
/// training that is continued from any state gives the same parameters as one that never stopped.
pub fn train(
    network: &Network,
    state: State,
    examples: &dyn Examples,
    settings: &Settings,
    augment: Option<&dyn Augment>,
    observer: &mut dyn Observer,
) -> Result<State> {
    train_along(&gradient, network, state, examples, settings, augment, observer)
}

/// [`train`] with another direction than the gradient.
pub fn train_along(
    direction: Direction,
    network: &Network,
    state: State,
    examples: &dyn Examples,
    settings: &Settings,
    augment: Option<&dyn Augment>,
    observer: &mut dyn Observer,
) -> Result<State> {
    let phase = Phase { network: network.clone(), settings: settings.clone() };
    train_in_phases(direction, &[phase], state, examples, augment, observer)
}

/// [`train_along`] through phases, one after the other. Epochs and steps are counted over all of them; the schedule of
/// each starts anew, with an empty velocity.
pub fn train_in_phases(
    direction: Direction,
    phases: &[Phase],
    mut state: State,
    examples: &dyn Examples,
    augment: Option<&dyn Augment>,
    observer: &mut dyn Observer,
) -> Result<State> {
    let count = examples.count();
    ensure!(count > 0, "there are no images to train on");
    let total = phases.iter().map(|phase| phase.settings.steps(count)).sum();
    let mut first = Start::default();
    for Phase { network, settings } in phases {
        ensure!(settings.batch_size > 0, "a batch of {} images is too small; expected at least 1", settings.batch_size);
        let run = Run { direction, network, settings, examples, augment, first, total };
        if !run.go(&mut state, observer)? {
            return Ok(state);
        }
        let steps = settings.steps(count);
        first.epoch += steps.div_ceil(settings.steps_per_epoch(count));
        first.step += steps;
    }
    Ok(state)
}

/// Epochs and steps of the phases before.
#[derive(Clone, Copy, Default)]
struct Start {
    epoch: u64,
    step: u64,
}

/// One phase.
struct Run<'a> {
    direction: Direction<'a>,
    network: &'a Network,
    settings: &'a Settings,
    examples: &'a dyn Examples,
    augment: Option<&'a dyn Augment>,
    first: Start,
    total: u64,
}

impl Run<'_> {
    /// Goes on from `state` to the end of the phase, if it is not there yet. False where the training diverged.
    fn go(&self, state: &mut State, observer: &mut dyn Observer) -> Result<bool> {
        let Run { direction, network, settings, examples, augment, first, total } = *self;
        let count = examples.count();
        let (batches, steps) = (settings.steps_per_epoch(count), settings.steps(count));
        let chunk = Chunk::training(examples.device());
        while state.epoch.saturating_sub(first.epoch) * batches < steps {
            let (epoch, own) = (state.epoch, state.epoch.saturating_sub(first.epoch));
            let anew = own == 0 && first.epoch > 0;
            if state.batch == 0 && (anew || settings.schedule.empties_velocity(settings.epochs, own)) {
                state.velocity.clear();
            }
            let rate = settings.schedule.rate(settings.rate, settings.epochs, own);
            let order = Tensor::from_slice(&stream(settings.seed, "shuffle", epoch).permutation(count));
            let order = order.to_device(examples.device());
            let last = batches.min(steps - own * batches);
            while state.batch < last {
                let start = state.batch as i64 * settings.batch_size;
                let positions = order.narrow(0, start, settings.batch_size.min(count - start));
                let (mut images, mut labels) = examples.at(&positions)?;
                let step = first.step + own * batches + state.batch;
                if let Some(augment) = augment {
                    (images, labels) = augment.batch(&images, &labels, network.spec().classes, step)?;
                }
                let now = direction(network, &state.parameters, &images, &labels, chunk)?;
                let before = &state.parameters.trainable;
                let stepped = settings.sgd.step(rate, before, &now.gradients, &mut state.velocity)?;
                state.parameters = Parameters { trainable: stepped, buffers: now.buffers };
                let summed = now.loss.to_kind(tch::Kind::Double) * images.size()[0];
                state.sums = &state.sums + Tensor::stack(&[summed, now.right.sum(tch::Kind::Double)], 0);
                state.batch += 1;
                observer.answered(&positions, &now.right)?;
                observer.step(state, step + 1, total, &now.loss)?;
            }
            if state.diverged()? {
                observer.diverged(epoch)?;
                return Ok(false);
            }
            let seen = count.min(last as i64 * settings.batch_size) as f64;
            let sums = Vec::<f64>::try_from(&state.sums)?;
            let (loss, train_accuracy) = (sums[0] / seen, sums[1] / seen);
            let mut result = EpochResult { epoch, rate, loss, train_accuracy, accuracy: None };
            result.accuracy = observer.epoch(state, &result)?;
            state.history.push(result);
            state.epoch += 1;
            state.batch = 0;
            state.sums = state.sums.zeros_like();
        }
        Ok(true)
    }
}
