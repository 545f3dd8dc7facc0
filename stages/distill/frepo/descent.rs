//! A synthetic set whose images and labels both move: one optimiser with a falling rate, progress, curves, pictures on
//! the way, and checkpoints, in which the loop keeps its networks. A run that continues from a checkpoint ends with the
//! same bytes as one that never stopped.

use super::loss::Regressed;
use super::optimiser::{Moments, Optimiser};
use crate::artifact::SyntheticSet;
use crate::common::picture::Grid;
use crate::common::train::cosine;
use crate::context::{Checkpoint, Context, Outputs};
use anyhow::{Result, ensure};
use ddpipe_interface::ArtifactType;
use indexmap::IndexMap;
use serde_json::{Value, json};
use std::time::Instant;
use tch::Tensor;

/// Points on the curves and pictures on the way, at most.
const POINTS: u64 = 500;
const PICTURES: u64 = 20;

/// The share of the rate that is left at the end.
const LEFT: f64 = 0.1;

/// How far and how fast images and labels move.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Number of steps.
    pub iterations: u64,
    /// The optimiser of both.
    pub optimiser: Optimiser,
    /// Learning rate at the start; it falls as a cosine to a tenth.
    pub rate: f64,
    /// Whether the labels move.
    pub learn_labels: bool,
}

/// A synthetic set on its way.
pub struct Descent<'a> {
    ctx: &'a Context,
    start: &'a SyntheticSet,
    /// Images \[M,C,H,W\] and labels \[M,K\], float32.
    learnt: [Tensor; 2],
    moments: Moments,
    pace: Pace,
    done: u64,
    losses: Vec<(u64, f64)>,
    accuracies: Vec<(u64, f64)>,
    /// Iterations and seconds before this process.
    earlier: (u64, f64),
    started: Instant,
}

impl<'a> Descent<'a> {
    /// Starts from the images of a set and from these labels.
    pub fn new(ctx: &'a Context, start: &'a SyntheticSet, labels: Tensor, pace: Pace) -> Self {
        let learnt = [start.images.copy(), labels];
        let (losses, accuracies) = (Vec::new(), Vec::new());
        let (moments, earlier, started) = (Moments::default(), (0, 0.0), Instant::now());
        Descent { ctx, start, learnt, moments, pace, done: 0, losses, accuracies, earlier, started }
    }

    /// Where an interrupted run stopped; `pace` and `start` are those it had.
    pub fn resumed(ctx: &'a Context, start: &'a SyntheticSet, checkpoint: &Checkpoint, pace: Pace) -> Result<Self> {
        let take = |name: &str| checkpoint.get(name).map(Tensor::shallow_clone);
        let mut descent = Self::new(ctx, start, take("labels")?, pace);
        descent.learnt[0] = take("images")?;
        let moving = descent.moving();
        let moments =
            |which: &str| (0..moving).map(|index| take(&format!("{which}.{index}"))).collect::<Result<Vec<_>>>();
        descent.moments = Moments { first: moments("first")?, second: moments("second")?, steps: checkpoint.step };
        let state = &checkpoint.state;
        descent.done = checkpoint.step;
        descent.losses = serde_json::from_value(state["losses"].clone())?;
        descent.accuracies = serde_json::from_value(state["accuracies"].clone())?;
        descent.earlier = (checkpoint.step, state["seconds"].as_f64().unwrap_or_default());
        Ok(descent)
    }

    /// The number of the iteration to do, from 0, until all are done.
    pub fn next(&self) -> Option<u64> {
        (self.done < self.pace.iterations).then_some(self.done)
    }

    /// The images as they are, \[M,C,H,W\], without a graph.
    pub fn images(&self) -> &Tensor {
        &self.learnt[0]
    }

    /// The labels as they are, \[M,K\], without a graph.
    pub fn labels(&self) -> &Tensor {
        &self.learnt[1]
    }

    /// Goes one step against the gradients of an iteration. The step is done when [`end`](Self::end) was called.
    pub fn descend(&mut self, regressed: &Regressed) -> Result<()> {
        let Pace { iterations, optimiser, rate, .. } = self.pace;
        let rate = rate * LEFT + cosine(rate * (1.0 - LEFT), iterations, self.done);
        let gradients = [regressed.images_MCHW.shallow_clone(), regressed.labels_MK.shallow_clone()];
        let moving = self.moving();
        let stepped = optimiser.step(rate, &self.learnt[..moving], &gradients[..moving], &mut self.moments)?;
        for (place, tensor) in self.learnt.iter_mut().zip(stepped) {
            *place = tensor;
        }
        Ok(())
    }

    /// After a step: records what it gave, tells progress, saves when a checkpoint is due, and fails when the stage was
    /// asked to stop. `pool` puts the networks into a checkpoint.
    pub fn end(
        &mut self,
        regressed: &Regressed,
        pool: impl FnOnce(&mut IndexMap<String, Tensor>) -> Value,
    ) -> Result<()> {
        self.done += 1;
        let due = |most: u64| {
            (self.done - 1).is_multiple_of(self.pace.iterations.div_ceil(most)) || self.done == self.pace.iterations
        };
        let (point, picture) = (due(POINTS), due(PICTURES));
        if point {
            let (loss, accuracy) = (f64::try_from(&regressed.loss)?, f64::try_from(&regressed.accuracy)?);
            ensure!(
                loss.is_finite(),
                "the loss is {loss} in iteration {}; a smaller lr_img or lr_net may help",
                self.done
            );
            self.losses.push((self.done, loss));
            self.accuracies.push((self.done, accuracy));
            self.ctx.metric("loss", self.done, loss);
            self.ctx.metric("accuracy", self.done, accuracy);
        }
        if picture {
            self.preview();
        }
        let last = self.losses.last().map(|(_, loss)| *loss);
        self.ctx.step(self.done, self.pace.iterations, "iteration", last, || self.checkpoint(pool))
    }

    /// How many of the two the optimiser moves: the images, and the labels where they are learnt.
    fn moving(&self) -> usize {
        if self.pace.learn_labels { 2 } else { 1 }
    }

    fn preview(&self) {
        let grid = Grid::new(self.start.ipc as usize, &self.start.origin);
        match grid.png(self.images(), Some(&self.start.normalisation)) {
            Ok(png) => self.ctx.preview(self.done, &png),
            Err(error) => self.ctx.log(format!("no picture on the way: {error:#}")),
        }
    }

    fn seconds(&self) -> f64 {
        self.earlier.1 + self.started.elapsed().as_secs_f64()
    }

    fn checkpoint(&self, pool: impl FnOnce(&mut IndexMap<String, Tensor>) -> Value) -> Checkpoint {
        let mut tensors = IndexMap::new();
        for (name, tensor) in ["images", "labels"].into_iter().zip(&self.learnt) {
            tensors.insert(name.to_string(), tensor.shallow_clone());
        }
        for (which, moments) in [("first", &self.moments.first), ("second", &self.moments.second)] {
            for (index, tensor) in moments.iter().enumerate() {
                tensors.insert(format!("{which}.{index}"), tensor.shallow_clone());
            }
        }
        let mut networks = IndexMap::new();
        let pool = pool(&mut networks);
        tensors.extend(networks.into_iter().map(|(name, tensor)| (format!("pool.{name}"), tensor)));
        let seconds = self.seconds();
        let state = json!({ "losses": self.losses, "accuracies": self.accuracies, "seconds": seconds, "pool": pool });
        Checkpoint { step: self.done, tensors, state }
    }

    /// The outputs `synthetic`, with its labels as regression targets, and `curve`, and the scalars `loss_first`,
    /// `loss_last`, `regression_accuracy`, `seconds`, `iterations_per_second`.
    pub fn outputs(self) -> Outputs {
        let here = (self.done - self.earlier.0) as f64 / self.started.elapsed().as_secs_f64().max(1e-9);
        let seconds = self.seconds();
        let [images, labels] = self.learnt;
        let set = SyntheticSet { labels, targets: true, ..self.start.with_images(images) };
        let curves = json!({ "curves": { "loss": self.losses, "accuracy": self.accuracies } });
        let mut outputs = Outputs::default()
            .tensors("synthetic", set.to_file())
            .json("curve", ArtifactType::Metrics, curves)
            .metric("seconds", seconds)
            .metric("iterations_per_second", here);
        if let (Some(first), Some(last)) = (self.losses.first(), self.losses.last()) {
            outputs = outputs.metric("loss_first", first.1).metric("loss_last", last.1);
        }
        match self.accuracies.last() {
            Some((_, accuracy)) => outputs.metric("regression_accuracy", *accuracy),
            None => outputs,
        }
    }
}
