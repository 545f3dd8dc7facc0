//! Gradient descent on the images of a synthetic set, on the step size that students use, and, where they are learnt, on
//! its labels: SGD with momentum each, all three skipped where the loss is too large; with progress, curves, pictures on
//! the way and checkpoints. A run that continues from a checkpoint ends with the same bytes as one that never stopped.

use super::matching::{Gradients, Labels, Learnt, Matched};
use crate::artifact::SyntheticSet;
use crate::common::picture::Grid;
use crate::context::{Checkpoint, Context, Outputs};
use anyhow::{Context as _, Result, ensure};
use ddpipe_interface::ArtifactType;
use serde_json::json;
use std::time::Instant;
use tch::{Kind, TchError, Tensor};

/// Points on the curves and pictures on the way, at most.
const POINTS: u64 = 500;
const PICTURES: u64 = 20;

/// Learning rate and momentum of one of the things that are learnt; the first step takes the gradient whole.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Learning rate.
    pub lr: f64,
    /// Momentum.
    pub momentum: f64,
}

/// How far and how fast all goes.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Number of iterations.
    pub iterations: u64,
    /// Of the images.
    pub images: Rates,
    /// Of the students' learning rate.
    pub lr: Rates,
    /// Of the labels' logits.
    pub logits: Rates,
    /// Nothing moves where the loss is above it.
    pub threshold: Option<f64>,
}

/// A synthetic set on its way.
pub struct Descent<'a> {
    ctx: &'a Context,
    start: &'a SyntheticSet,
    learnt: Learnt,
    /// Of the same shapes, what moved last.
    velocity: Gradients,
    pace: Pace,
    done: u64,
    skipped: u64,
    losses: Vec<(u64, f64)>,
    rates: Vec<(u64, f64)>,
    /// Iterations and seconds before this process.
    earlier: (u64, f64),
    started: Instant,
}

impl<'a> Descent<'a> {
    /// Starts from these images, labels and learning rate, or where an interrupted run of the same action stopped. All
    /// else is that of the set `start`.
    pub fn new(ctx: &'a Context, start: &'a SyntheticSet, learnt: Learnt, pace: Pace) -> Result<Self> {
        let velocity = Gradients {
            images_MCHW: learnt.images_MCHW.f_zeros_like()?,
            lr: learnt.lr.f_zeros_like()?,
            logits_MK: learnt.labels.logits().map(Tensor::f_zeros_like).transpose()?,
        };
        Ok(Descent {
            ctx,
            start,
            learnt,
            velocity,
            pace,
            done: 0,
            skipped: 0,
            losses: Vec::new(),
            rates: Vec::new(),
            earlier: (0, 0.0),
            started: Instant::now(),
        })
    }

    /// Where an interrupted run stopped; `pace` and `start` are those it had.
    pub fn resumed(ctx: &'a Context, start: &'a SyntheticSet, checkpoint: &Checkpoint, pace: Pace) -> Result<Self> {
        let take = |name: &str| checkpoint.get(name).map(Tensor::shallow_clone);
        let labels = match checkpoint.tensors.get("logits") {
            Some(logits) => Labels::Logits(logits.shallow_clone()),
            None => Labels::Fixed(start.labels.shallow_clone()),
        };
        let learnt = Learnt { images_MCHW: take("images")?, labels, lr: take("lr")? };
        let mut descent = Self::new(ctx, start, learnt, pace)?;
        descent.velocity.images_MCHW = take("velocity.images")?;
        descent.velocity.lr = take("velocity.lr")?;
        if descent.velocity.logits_MK.is_some() {
            descent.velocity.logits_MK = Some(take("velocity.logits")?);
        }
        let state = &checkpoint.state;
        descent.done = checkpoint.step;
        descent.skipped = state["skipped"].as_u64().context("the checkpoint's count of skipped iterations")?;
        descent.losses = serde_json::from_value(state["losses"].clone())?;
        descent.rates = serde_json::from_value(state["rates"].clone())?;
        descent.earlier = (checkpoint.step, state["seconds"].as_f64().unwrap_or_default());
        Ok(descent)
    }

    /// The number of the iteration to do, from 0, until all are done.
    pub fn next(&self) -> Option<u64> {
        (self.done < self.pace.iterations).then_some(self.done)
    }

    /// Images, labels and learning rate as they are, without a graph.
    pub fn learnt(&self) -> &Learnt {
        &self.learnt
    }

    /// Goes one step against the gradients of an iteration, or, where its loss is above the threshold, only counts it.
    pub fn descend(&mut self, matched: &Matched) -> Result<()> {
        let loss = f64::try_from(&matched.loss)?;
        match self.pace.threshold {
            // Also where it is not a number.
            Some(threshold) if loss.is_nan() || loss > threshold => self.skipped += 1,
            _ => {
                ensure!(
                    loss.is_finite(),
                    "the loss is {loss} in iteration {}; a smaller lr_img, lr_lr or lr_teacher may help",
                    self.done + 1
                );
                self.move_on(&matched.gradients)?;
            }
        }
        self.done += 1;
        let due = |most: u64| {
            (self.done - 1).is_multiple_of(self.pace.iterations.div_ceil(most)) || self.done == self.pace.iterations
        };
        let (point, picture) = (due(POINTS), due(PICTURES));
        if point {
            let lr = self.lr()?;
            ensure!(
                lr.is_finite(),
                "the students' learning rate is {lr} after iteration {}; a smaller lr_lr or lr_img may help",
                self.done
            );
            self.rates.push((self.done, lr));
            self.ctx.metric("lr", self.done, lr);
            if loss.is_finite() {
                self.losses.push((self.done, loss));
                self.ctx.metric("loss", self.done, loss);
            }
        }
        if picture {
            self.preview();
        }
        let told = loss.is_finite().then_some(loss);
        self.ctx.step(self.done, self.pace.iterations, "iteration", told, || self.checkpoint())
    }

    fn move_on(&mut self, gradients: &Gradients) -> Result<()> {
        let step = |value: &Tensor, velocity: &Tensor, gradient: &Tensor, rates: Rates| -> Result<_, TchError> {
            let velocity = velocity.f_mul_scalar(rates.momentum)?.f_add(gradient)?.f_detach()?;
            Ok((value.f_sub(&velocity.f_mul_scalar(rates.lr)?)?.f_detach()?, velocity))
        };
        let (learnt, velocity, pace) = (&mut self.learnt, &mut self.velocity, self.pace);
        (learnt.images_MCHW, velocity.images_MCHW) =
            step(&learnt.images_MCHW, &velocity.images_MCHW, &gradients.images_MCHW, pace.images)?;
        (learnt.lr, velocity.lr) = step(&learnt.lr, &velocity.lr, &gradients.lr, pace.lr)?;
        if let (Labels::Logits(logits), Some(last), Some(gradient)) =
            (&mut learnt.labels, &mut velocity.logits_MK, &gradients.logits_MK)
        {
            (*logits, *last) = step(logits, last, gradient, pace.logits)?;
        }
        Ok(())
    }

    fn lr(&self) -> Result<f64> {
        Ok(f64::try_from(&self.learnt.lr)?)
    }

    fn preview(&self) {
        let grid = Grid::new(self.start.ipc as usize, &self.start.origin);
        match grid.png(&self.learnt.images_MCHW, Some(&self.start.normalisation)) {
            Ok(png) => self.ctx.preview(self.done, &png),
            Err(error) => self.ctx.log(format!("no picture on the way: {error:#}")),
        }
    }

    fn seconds(&self) -> f64 {
        self.earlier.1 + self.started.elapsed().as_secs_f64()
    }

    fn checkpoint(&self) -> Checkpoint {
        let always = [
            ("images", &self.learnt.images_MCHW),
            ("lr", &self.learnt.lr),
            ("velocity.images", &self.velocity.images_MCHW),
            ("velocity.lr", &self.velocity.lr),
        ];
        let logits = self.learnt.labels.logits().map(|logits| ("logits", logits));
        let velocity = self.velocity.logits_MK.as_ref().map(|velocity| ("velocity.logits", velocity));
        let tensors = always.into_iter().chain(logits).chain(velocity);
        Checkpoint {
            step: self.done,
            tensors: tensors.map(|(name, tensor)| (name.into(), tensor.shallow_clone())).collect(),
            state: json!({
                "losses": self.losses,
                "rates": self.rates,
                "skipped": self.skipped,
                "seconds": self.seconds(),
            }),
        }
    }

    /// The outputs `synthetic` (with the learning rate, and with the logits beside the labels that they stand for) and
    /// `curve`, and the scalars `loss_first`, `loss_last`, `lr`, `skipped`, `seconds`, `iterations_per_second`.
    pub fn outputs(self) -> Result<Outputs> {
        let here = (self.done - self.earlier.0) as f64 / self.started.elapsed().as_secs_f64().max(1e-9);
        let (seconds, lr) = (self.seconds(), self.lr()?);
        if self.skipped > 0 {
            self.ctx.warn(format!(
                "{} of {} iterations changed nothing, because their loss was above the threshold",
                self.skipped, self.done
            ));
        }
        let set = SyntheticSet {
            images: self.learnt.images_MCHW.to_kind(Kind::Float),
            labels: match &self.learnt.labels {
                Labels::Fixed(labels) => labels.shallow_clone(),
                Labels::Logits(logits) => logits.f_softmax(1, Kind::Float)?,
            },
            normalisation: self.start.normalisation.clone(),
            origin: self.start.origin.clone(),
            lr: Some(lr),
            targets: false,
            ..*self.start
        };
        let file = match self.learnt.labels.logits() {
            Some(logits) => set.to_file().with("label_logits", logits.shallow_clone()),
            None => set.to_file(),
        };
        let mut outputs = Outputs::default()
            .tensors("synthetic", file)
            .json("curve", ArtifactType::Metrics, json!({ "curves": { "loss": self.losses, "lr": self.rates } }))
            .metric("lr", lr)
            .metric("skipped", self.skipped as f64)
            .metric("seconds", seconds)
            .metric("iterations_per_second", here);
        if let (Some(first), Some(last)) = (self.losses.first(), self.losses.last()) {
            outputs = outputs.metric("loss_first", first.1).metric("loss_last", last.1);
        }
        Ok(outputs)
    }
}
