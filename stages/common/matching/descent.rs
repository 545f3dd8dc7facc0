//! Gradient descent on the images of a synthetic set: SGD with momentum, progress, a curve, pictures on the way, and
//! checkpoints, in which a loop may keep tensors of its own. A loop that continues from a checkpoint ends with the same
//! bytes as one that never stopped; times are the only thing that differs, and they stay out of the artifacts.

use crate::artifact::SyntheticSet;
use crate::common::picture::Grid;
use crate::context::{Checkpoint, Context, Outputs};
use anyhow::{Result, ensure};
use ddpipe_interface::ArtifactType;
use indexmap::IndexMap;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Instant;
use tch::Tensor;

/// Points on the curve and pictures on the way, at most.
const POINTS: u64 = 500;
const PICTURES: u64 = 20;

/// What the names of a loop's own tensors begin with in a checkpoint.
const KEPT: &str = "kept.";

/// How far and how fast the images move.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Number of steps.
    pub steps: u64,
    /// Steps of one iteration; the curve has the mean loss of an iteration.
    pub steps_per_iteration: u64,
    /// Learning rate.
    pub lr: f64,
    /// Momentum; the first step takes the gradient whole.
    pub momentum: f64,
}

/// A synthetic set on its way.
pub struct Descent<'a> {
    ctx: &'a Context,
    set: SyntheticSet,
    velocity: Tensor,
    rates: Rates,
    unit: &'static str,
    done: u64,
    /// Iterations that are done, and their mean loss.
    curve: Vec<(u64, f64)>,
    /// The sum of the running iteration's losses, a scalar tensor.
    sum: Option<Tensor>,
    kept: BTreeMap<String, Tensor>,
    /// Steps and seconds before this process.
    earlier: (u64, f64),
    started: Instant,
}

impl<'a> Descent<'a> {
    /// Starts from a synthetic set, or where an interrupted run of the same action stopped.
    pub fn new(ctx: &'a Context, start: &SyntheticSet, rates: Rates) -> Result<Self> {
        let set = start.with_images(start.images.copy());
        let velocity = set.images.zeros_like();
        let mut descent = Descent {
            ctx,
            set,
            velocity,
            unit: if rates.steps_per_iteration == 1 { "iteration" } else { "step" },
            rates,
            done: 0,
            curve: Vec::new(),
            sum: None,
            kept: BTreeMap::new(),
            earlier: (0, 0.0),
            started: Instant::now(),
        };
        if let Some(checkpoint) = ctx.resume() {
            descent.set = start.with_images(checkpoint.get("images")?.shallow_clone());
            descent.velocity = checkpoint.get("velocity")?.shallow_clone();
            descent.done = checkpoint.step;
            descent.curve = serde_json::from_value(checkpoint.state["curve"].clone())?;
            descent.sum = checkpoint.tensors.get("sum").map(Tensor::shallow_clone);
            let own =
                |(name, tensor): (&String, &Tensor)| Some((name.strip_prefix(KEPT)?.into(), tensor.shallow_clone()));
            descent.kept = checkpoint.tensors.iter().filter_map(own).collect();
            descent.earlier = (checkpoint.step, checkpoint.state["seconds"].as_f64().unwrap_or_default());
        }
        Ok(descent)
    }

    /// The same with another word for its steps in what is shown of its progress.
    pub fn counted_in(self, unit: &'static str) -> Self {
        Descent { unit, ..self }
    }

    /// The number of the step to do, from 0, until all are done.
    pub fn next(&self) -> Option<u64> {
        (self.done < self.rates.steps).then_some(self.done)
    }

    /// The images as they are, \[M,C,H,W\], without a graph.
    pub fn images(&self) -> &Tensor {
        &self.set.images
    }

    /// The set as it is.
    pub fn set(&self) -> &SyntheticSet {
        &self.set
    }

    /// Brings pixels back into a range; the velocity stays as it is.
    pub fn clamp(&mut self, lowest: f64, highest: f64) -> Result<()> {
        self.set.images = self.set.images.f_clamp(lowest, highest)?;
        Ok(())
    }

    /// Iterations with their mean loss, at most 500.
    pub fn curve(&self) -> &[(u64, f64)] {
        &self.curve
    }

    /// What the loop needs besides the images to continue from here, in the place of what it kept before. It may be
    /// shared, but not be changed in place.
    pub fn keep(&mut self, tensors: impl IntoIterator<Item = (String, Tensor)>) {
        self.kept = tensors.into_iter().collect();
    }

    /// What the loop kept last, before or after an interruption.
    pub fn kept(&self) -> &BTreeMap<String, Tensor> {
        &self.kept
    }

    /// Takes one step against a gradient \[M,C,H,W\]. `loss` is a scalar tensor; it is read only where it is recorded,
    /// so that a GPU need not be waited for in between.
    pub fn descend(&mut self, loss: &Tensor, gradient: &Tensor) -> Result<()> {
        tch::no_grad(|| -> Result<()> {
            self.velocity = self.velocity.f_mul_scalar(self.rates.momentum)?.f_add(gradient)?;
            self.set.images = self.set.images.f_sub(&self.velocity.f_mul_scalar(self.rates.lr)?)?;
            self.sum = Some(match &self.sum {
                Some(sum) => sum.f_add(loss)?,
                None => loss.f_detach()?,
            });
            Ok(())
        })?;
        self.done += 1;
        if self.done.is_multiple_of(self.rates.steps_per_iteration) {
            self.end_iteration()?;
        }
        self.tick()
    }

    /// Between two steps or in the middle of a long one: tells progress, saves what was after the last step when a
    /// checkpoint is due, and fails when the stage was asked to stop.
    pub fn tick(&self) -> Result<()> {
        let last = self.curve.last().map(|(_, value)| *value);
        self.ctx.step(self.done, self.rates.steps, self.unit, last, || self.checkpoint())
    }

    fn end_iteration(&mut self) -> Result<()> {
        let each = self.rates.steps_per_iteration;
        let (iteration, iterations) = (self.done / each, self.rates.steps / each);
        let due = |most: u64| (iteration - 1).is_multiple_of(iterations.div_ceil(most)) || iteration == iterations;
        let (point, picture) = (due(POINTS), due(PICTURES));
        let sum = self.sum.take();
        if let (true, Some(sum)) = (point, sum) {
            let value = f64::try_from(sum)? / each as f64;
            ensure!(
                value.is_finite(),
                "the loss is {value} after {} steps; a smaller learning rate of the images may help",
                self.done
            );
            self.ctx.metric("loss", iteration, value);
            self.curve.push((iteration, value));
        }
        if picture {
            self.preview();
        }
        Ok(())
    }

    fn preview(&self) {
        let grid = Grid::new(self.set.ipc as usize, &self.set.origin);
        match grid.png(&self.set.images, Some(&self.set.normalisation)) {
            Ok(png) => self.ctx.preview(self.done / self.rates.steps_per_iteration, &png),
            Err(error) => self.ctx.log(format!("no picture on the way: {error:#}")),
        }
    }

    fn seconds(&self) -> f64 {
        self.earlier.1 + self.started.elapsed().as_secs_f64()
    }

    fn checkpoint(&self) -> Checkpoint {
        let own = [("images", &self.set.images), ("velocity", &self.velocity)];
        let own = own.into_iter().chain(self.sum.iter().map(|sum| ("sum", sum)));
        let mut tensors: IndexMap<String, Tensor> =
            own.map(|(name, tensor)| (name.into(), tensor.shallow_clone())).collect();
        tensors.extend(self.kept.iter().map(|(name, tensor)| (format!("{KEPT}{name}"), tensor.shallow_clone())));
        Checkpoint { step: self.done, tensors, state: json!({ "curve": self.curve, "seconds": self.seconds() }) }
    }

    /// The outputs `synthetic` and `curve`, and the scalars `loss_first`, `loss_last`, `seconds`,
    /// `iterations_per_second`.
    pub fn outputs(self) -> Outputs {
        let steps = (self.done - self.earlier.0) as f64;
        let here = steps / self.rates.steps_per_iteration as f64 / self.started.elapsed().as_secs_f64().max(1e-9);
        let curve = json!({ "curves": { "loss": self.curve } });
        let seconds = self.seconds();
        let mut outputs = Outputs::default()
            .tensors("synthetic", self.set.to_file())
            .json("curve", ArtifactType::Metrics, curve)
            .metric("seconds", seconds)
            .metric("iterations_per_second", here);
        if let (Some(first), Some(last)) = (self.curve.first(), self.curve.last()) {
            outputs = outputs.metric("loss_first", first.1).metric("loss_last", last.1);
        }
        outputs
    }
}
