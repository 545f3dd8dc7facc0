//! Several students of one architecture in the same operations: each has its own weights, order of images and
//! augmentation, and ends with the numbers that it would have by itself, up to rounding. For devices that wait for small
//! operations ([`Layout::Together`]); on a CPU students come one after another, and the work of each is divided.

mod batch;
mod gradient;
mod state;

use super::train::values;
use super::{Examples, Labeller, LossReader, Objective, Orders, Student, TrainingParams, evaluate};
use crate::context::{Checkpoint, Context};
use anyhow::{Result, ensure};
use batch::batch;
use ddpipe_nn::augment::Augment;
use ddpipe_nn::layout::Layout;
use ddpipe_nn::network::{Network, Parameters, seen_twice};
use ddpipe_nn::pieces::Graph;
use ddpipe_nn::precision::Precision;
use ddpipe_nn::stream::stream;
use tch::Device;

pub use gradient::stacked_gradient;
pub use state::StackedState;

/// How many of the students that are `left` are trained together on so many images: as many as have room in memory with a
/// batch of each. `None` where they are trained one after another, as on a CPU and with dropout.
pub fn together(network: &Network, params: &TrainingParams, device: Device, images: i64, left: u64) -> Option<u64> {
    let fit = network.chunk(device, Graph::Kept).0 / params.batch_size.min(images).max(1);
    let can = network.can_be_stacked() && params.dropout == 0.0;
    let stacked = Layout::of(device) == Layout::Together && can && fit > 0;
    stacked.then(|| left.min(fit as u64))
}

/// The training and the test of several students at once.
pub struct StudentsTogether<'a> {
    /// The context of the stage.
    pub ctx: &'a Context,
    /// The students' network.
    pub network: &'a Network,
    /// The settings of their training.
    pub params: &'a TrainingParams,
    /// The objective of their training.
    pub objective: Objective,
    /// The training images and labels.
    pub examples: &'a dyn Examples,
    /// Labels every batch as it is shown, where a teacher does.
    pub labeller: Option<&'a Labeller>,
    /// The test images and their labels \[N\] int64.
    pub test: &'a dyn Examples,
    /// The precision of the tests.
    pub precision: Precision,
    /// The seeds of the random streams of each student.
    pub seeds: &'a [u64],
    /// The number of steps of all earlier students.
    pub before: u64,
    /// The number of steps of all students together.
    pub total: u64,
    /// Adds to a checkpoint what the stage needs to find these students again.
    pub save: &'a dyn Fn(&mut Checkpoint),
}

impl StudentsTogether<'_> {
    /// Trains and tests the students, continuing from `state` if they were interrupted.
    pub fn run(&self, state: Option<StackedState>) -> Result<Vec<Student>> {
        // Of other students than these, it is of no use.
        let mut state = match state.filter(|state| state.history.len() == self.seeds.len()) {
            Some(state) => state,
            None => StackedState::new(Parameters::stack(&self.fresh()?)?, self.seeds.len()),
        };
        self.train(&mut state)?;
        let mut tested = Vec::new();
        let results = state.history.iter().zip(&state.diverged);
        for (student, (history, diverged)) in (0..).zip(results) {
            let parameters = state.parameters.of_stack(student)?;
            let tested_in =
                |rounded: &Parameters| evaluate(self.network, rounded, self.test, || self.tell(&state, None));
            let test = self.precision.pass(&parameters, tested_in)?;
            tested.push(Student::of(self.objective.scored(test), history.clone(), *diverged));
        }
        Ok(tested)
    }

    fn fresh(&self) -> Result<Vec<Parameters>> {
        let init = |seed: &u64| Ok(self.network.init(stream(*seed, "init", 0).generator(), self.ctx.device)?);
        self.seeds.iter().map(init).collect()
    }

    fn train(&self, state: &mut StackedState) -> Result<()> {
        let count = self.examples.count();
        ensure!(count > 0, "there are no images to train on");
        let settings = self.params.settings(0);
        ensure!(settings.batch_size > 0, "a batch of {} images is too small; expected at least 1", settings.batch_size);
        let augments: Option<Vec<Box<dyn Augment>>> =
            self.seeds.iter().map(|&seed| self.params.augmentation(self.network, seed)).collect();
        let (length, steps) = (settings.length(count), settings.steps(count));
        let batches = length.batches;
        let (mut loss_reader, mut orders) = (LossReader::default(), Orders::default());
        while state.epoch * batches < steps {
            if state.batch == 0 && settings.schedule.empties_velocity(settings.epochs, state.epoch) {
                state.memory.clear();
            }
            let epoch = state.epoch;
            let rate = |batch| settings.course.rate(settings.schedule, settings.rate, length, epoch, batch);
            let left = steps.div_ceil(batches).saturating_sub(epoch);
            let orders_SN = orders.of_each(self.seeds, count, self.examples.device(), state.epoch, left);
            let last = batches.min(steps - epoch * batches);
            while state.batch < last {
                let step = state.epoch * batches + state.batch;
                let start = state.batch as i64 * settings.batch_size;
                let batch = batch(&orders_SN, self.examples, start, settings.batch_size)?;
                let batch = match &augments {
                    Some(augments) => batch.augmented(augments, self.network.spec().classes, step)?,
                    None => batch,
                };
                let batch = match self.labeller {
                    Some(labeller) => batch.labelled(labeller)?,
                    None => batch,
                };
                let now = stacked_gradient(self.objective, self.network, &state.parameters, &batch)?;
                let before = &state.parameters;
                let (rate, memory) = (rate(state.batch), &mut state.memory);
                let trainable =
                    settings.optimiser.step(self.network, rate, &before.trainable, &now.gradients, memory)?;
                let buffers = match settings.seen_twice {
                    true => seen_twice(&before.buffers, &now.buffers)?,
                    false => now.buffers,
                };
                let after = Parameters { trainable, buffers };
                if let Some(average) = settings.average {
                    average.add(values(before), values(&after), &mut state.averaged)?;
                }
                state.parameters = after;
                state.add(&now.losses_S, &now.right_SB)?;
                state.batch += 1;
                // Of the first one, as a sign of life.
                let loss = loss_reader.read(&now.losses_S.f_get(0)?);
                self.tell(state, loss)?;
            }
            state.end_epoch(rate(0), count.min(last as i64 * settings.batch_size))?;
        }
        if let Some(average) = settings.average {
            state.parameters = state.averaged(average)?;
        }
        state.read()
    }

    /// Reports the progress of the stage and saves a checkpoint if one is due.
    fn tell(&self, state: &StackedState, loss: Option<f64>) -> Result<()> {
        let (settings, images) = (self.params.settings(0), self.examples.count());
        let done = state.epoch * settings.steps_per_epoch(images) + state.batch;
        let step = self.before + self.seeds.len() as u64 * done.min(settings.steps(images));
        self.ctx.step(step, self.total, "steps", loss, |checkpoint| {
            state.store(checkpoint)?;
            (self.save)(checkpoint);
            Ok(())
        })
    }
}
