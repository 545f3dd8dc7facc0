//! Where a run stands: the images with their velocity, the network that they meet, the curve; steps, lessons, progress,
//! checkpoints. A run that was interrupted repeats no finished step and ends with the same bytes: it does over what it
//! was in the middle of, with the same draws, so that nothing is spent twice.

use super::loops::Opening;
use crate::artifact::SyntheticSet;
use crate::common::network::{Network, Parameters};
use crate::common::picture::Grid;
use crate::common::stream::stream;
use crate::common::train::{Observer, Schedule, Settings, Sgd, State, train};
use crate::context::{Checkpoint, Context};
use anyhow::{Context as _, Result, ensure};
use indexmap::IndexMap;
use rand::Rng;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Instant;
use tch::Tensor;

/// Points on the curve and pictures on the way, at most.
const POINTS: u64 = 500;
const PICTURES: u64 = 20;

const PARAMETER: &str = "parameter.";

/// How far and how fast images and network move.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Steps of the images.
    pub steps: u64,
    /// Learning rate of the images.
    pub lr_img: f64,
    /// Their momentum; the first step takes the gradient whole.
    pub momentum_img: f64,
    /// Learning rate of the network's lessons.
    pub lr_net: f64,
    /// Images of a batch of a lesson.
    pub batch_train: i64,
    /// Epochs of a lesson.
    pub epochs: u64,
}

/// A synthetic set on its way.
pub struct Descent<'a> {
    ctx: &'a Context,
    network: &'a Network,
    rates: Rates,
    set: SyntheticSet,
    velocity: Tensor,
    parameters: Parameters,
    done: u64,
    /// Whether the parameters are those of the step that comes, not of the last one.
    opened: bool,
    curve: Vec<(u64, f64)>,
    /// Steps and seconds before this process.
    earlier: (u64, f64),
    started: Instant,
}

impl<'a> Descent<'a> {
    /// Starts from a synthetic set, or where an interrupted run of the same action stopped.
    pub fn new(ctx: &'a Context, network: &'a Network, start: &SyntheticSet, rates: Rates) -> Result<Self> {
        let set = start.with_images(start.images.copy());
        let mut descent = Descent {
            ctx,
            network,
            rates,
            velocity: set.images.zeros_like(),
            set,
            parameters: Parameters { trainable: Vec::new(), buffers: Vec::new() },
            done: 0,
            opened: false,
            curve: Vec::new(),
            earlier: (0, 0.0),
            started: Instant::now(),
        };
        if let Some(checkpoint) = ctx.resume() {
            descent.take_up(&checkpoint).context("the checkpoint")?;
        }
        Ok(descent)
    }

    fn take_up(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        self.set = self.set.with_images(checkpoint.get("images")?.shallow_clone());
        self.velocity = checkpoint.get("velocity")?.shallow_clone();
        let named = |(name, tensor): (&String, &Tensor)| {
            Some((name.strip_prefix(PARAMETER)?.to_string(), tensor.shallow_clone()))
        };
        let stored: BTreeMap<_, _> = checkpoint.tensors.iter().filter_map(named).collect();
        self.parameters = self.network.load(&stored)?;
        self.done = checkpoint.step;
        self.opened = checkpoint.state["opened"].as_bool().context("it has no `opened`")?;
        self.curve = serde_json::from_value(checkpoint.state["curve"].clone())?;
        self.earlier = (checkpoint.step, checkpoint.state["seconds"].as_f64().unwrap_or_default());
        Ok(())
    }

    /// The number of the step to do, from 0, until all are done.
    pub fn next(&self) -> Option<u64> {
        (self.done < self.rates.steps).then_some(self.done)
    }

    /// The set as it is, without a graph.
    pub fn set(&self) -> &SyntheticSet {
        &self.set
    }

    /// The network's parameters, once the step is open.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Makes the network of the step that comes: a fresh one, or the last one after a lesson on the images.
    pub fn open(&mut self, opening: Opening) -> Result<()> {
        if self.opened {
            return Ok(());
        }
        match opening {
            Opening::Same => {}
            Opening::Network(number) => {
                let mut stream = stream(self.ctx.seed, "network", number);
                self.parameters = self.network.init(stream.generator(), self.ctx.device)?;
            }
            Opening::Lesson(number) => {
                let settings = Settings {
                    epochs: self.rates.epochs,
                    batch_size: self.rates.batch_train,
                    rate: self.rates.lr_net,
                    schedule: Schedule::Constant,
                    sgd: Sgd { momentum: 0.0, weight_decay: 0.0 },
                    seed: stream(self.ctx.seed, "lesson", number).generator().random(),
                    max_steps: None,
                };
                let state = State::new(self.parameters.clone());
                let state = train(self.network, state, &self.set, &settings, None, &mut Lesson(&*self))
                    .context("the network's training on the synthetic images (`lr_net`; `lr_img` moves the images)")?;
                self.parameters = state.parameters;
            }
        }
        self.opened = true;
        Ok(())
    }

    /// Takes one step against a gradient \[M,C,H,W\]. `loss` is a scalar tensor; it is read only where it is recorded.
    pub fn descend(&mut self, loss: &Tensor, gradient: &Tensor) -> Result<()> {
        tch::no_grad(|| -> Result<()> {
            self.velocity = self.velocity.f_mul_scalar(self.rates.momentum_img)?.f_add(gradient)?;
            self.set.images = self.set.images.f_sub(&self.velocity.f_mul_scalar(self.rates.lr_img)?)?;
            Ok(())
        })?;
        self.done += 1;
        self.opened = false;
        let due = |most: u64| {
            (self.done - 1).is_multiple_of(self.rates.steps.div_ceil(most)) || self.done == self.rates.steps
        };
        let (point, picture) = (due(POINTS), due(PICTURES));
        if point {
            let value = f64::try_from(loss)?;
            ensure!(
                value.is_finite(),
                "the loss is {value} after {} steps; a smaller learning rate of the images may help",
                self.done
            );
            self.ctx.metric("loss", self.done, value);
            self.curve.push((self.done, value));
        }
        if picture {
            let grid = Grid::new(self.set.ipc as usize, &self.set.origin);
            match grid.png(&self.set.images, Some(&self.set.normalisation)) {
                Ok(png) => self.ctx.preview(self.done, &png),
                Err(error) => self.ctx.log(format!("no picture on the way: {error:#}")),
            }
        }
        self.tick()
    }

    /// Between two steps or in the middle of one: tells progress, saves a checkpoint when one is due, and fails when the
    /// stage was asked to stop.
    pub fn tick(&self) -> Result<()> {
        let last = self.curve.last().map(|(_, value)| *value);
        self.ctx.step(self.done, self.rates.steps, "step", last, || self.checkpoint())
    }

    /// Steps with their matching loss, at most 500.
    pub fn curve(&self) -> &[(u64, f64)] {
        &self.curve
    }

    /// Seconds over all processes, and steps per second of this one.
    pub fn times(&self) -> (f64, f64) {
        let here = self.started.elapsed().as_secs_f64();
        (self.earlier.1 + here, (self.done - self.earlier.0) as f64 / here.max(1e-9))
    }

    fn checkpoint(&self) -> Checkpoint {
        let mut tensors = IndexMap::new();
        tensors.insert("images".into(), self.set.images.shallow_clone());
        tensors.insert("velocity".into(), self.velocity.shallow_clone());
        for (name, tensor) in self.network.state_dict(&self.parameters) {
            tensors.insert(format!("{PARAMETER}{name}"), tensor);
        }
        let state = json!({ "opened": self.opened, "curve": self.curve, "seconds": self.times().0 });
        Checkpoint { step: self.done, tensors, state }
    }
}

/// Lets a lesson be interrupted; what it had done is done again.
struct Lesson<'a, 'b>(&'a Descent<'b>);

impl Observer for Lesson<'_, '_> {
    fn step(&mut self, _state: &State, _done: u64, _total: u64, _loss: &Tensor) -> Result<()> {
        self.0.tick()
    }
}
