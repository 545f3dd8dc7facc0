//! The record of a run that optimises a synthetic set: which step is next, progress, curves, pictures on the way, and
//! checkpoints. A run that continues from a checkpoint ends with the same bytes as one that never stopped; times are the
//! only thing that differs, and they stay out of the artifacts.

use crate::artifact::SyntheticSet;
use crate::context::{Checkpoint, Context, Outputs};
use crate::data::picture::{Grid, by_class, positions};
use anyhow::{Result, ensure};
use ddpipe_interface::ArtifactType;
use ddpipe_nn::transfer;
use serde_json::{Value, json};
use std::time::Instant;
use tch::Tensor;

/// Points on the curves and pictures on the way, at most.
const POINTS: u64 = 500;
const PICTURES: u64 = 20;

/// The curve of the loss.
const LOSS: &str = "loss";

/// How long a run is.
#[derive(Clone, Copy, Debug)]
pub struct Length {
    /// Number of steps.
    pub steps: u64,
    /// Steps of one iteration; the curve has the mean loss of an iteration.
    pub steps_per_iteration: u64,
    /// What a step is called in what is shown of the progress.
    pub unit: &'static str,
}

impl Length {
    /// A run of so many iterations of one step each.
    pub fn iterations(steps: u64) -> Self {
        Self::new(steps, 1)
    }

    /// A run of so many steps, of which so many make an iteration.
    pub fn new(steps: u64, steps_per_iteration: u64) -> Self {
        let unit = if steps_per_iteration == 1 { "iteration" } else { "step" };
        Length { steps, steps_per_iteration, unit }
    }
}

/// The record of one run.
pub struct Recorder<'a> {
    ctx: &'a Context,
    /// What pictures are drawn like: images per class, origin, normalisation.
    start: &'a SyntheticSet,
    length: Length,
    /// Parameters that a message about a loss that is not finite advises to lower.
    advice: &'static str,
    done: u64,
    /// By name, iterations that are done and the value after each; the loss is the first.
    curves: Vec<(String, Vec<(u64, f64)>)>,
    /// The sum of the running iteration's losses, a scalar tensor.
    sum: Option<Tensor>,
    /// Steps before this process.
    earlier: u64,
    started: Instant,
}

impl<'a> Recorder<'a> {
    /// The record of a run from the beginning, or from the checkpoint of an interrupted run of the same action. `advice`
    /// names the parameters to lower when the loss is no longer finite.
    pub fn new(
        ctx: &'a Context,
        start: &'a SyntheticSet,
        length: Length,
        advice: &'static str,
        checkpoint: Option<&Checkpoint>,
    ) -> Result<Self> {
        let curves = vec![(LOSS.to_string(), Vec::new())];
        let (sum, started) = (None, Instant::now());
        let mut recorder = Recorder { ctx, start, length, advice, done: 0, curves, sum, earlier: 0, started };
        if let Some(checkpoint) = checkpoint {
            recorder.done = checkpoint.step;
            recorder.earlier = checkpoint.step;
            recorder.curves = checkpoint.noted("curves")?;
            recorder.sum = checkpoint.tensors.get("loss.sum").map(Tensor::shallow_clone);
        }
        Ok(recorder)
    }

    /// The number of the step to do, from 0, until all are done.
    pub fn next(&self) -> Option<u64> {
        (self.done < self.length.steps).then_some(self.done)
    }

    /// Steps that are done.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// The curve of this name: iterations and the value after each, at most 500. Empty where nothing was recorded.
    pub fn curve(&self, name: &str) -> &[(u64, f64)] {
        self.curves.iter().find(|(own, _)| own == name).map_or(&[], |(_, points)| points)
    }

    /// The mean loss of iterations.
    pub fn losses(&self) -> &[(u64, f64)] {
        self.curve(LOSS)
    }

    /// Ends a step. `loss` is a scalar tensor, and so is each of `others`, which get a curve under their name; they are
    /// read only where a point is recorded, so that a GPU need not be waited for in between. `images` \[M,C,H,W\] are drawn
    /// now and then; `save` adds to a checkpoint what the loop needs to continue from here. Fails when the stage was asked
    /// to stop, and when a recorded value is not finite.
    pub fn record(
        &mut self,
        loss: &Tensor,
        others: &[(&str, &Tensor)],
        images: &Tensor,
        save: impl FnOnce(&mut Checkpoint),
    ) -> Result<()> {
        self.sum = Some(match &self.sum {
            Some(sum) => sum.f_add(loss)?,
            None => loss.f_detach()?,
        });
        self.end_step(others, images, save, false)
    }

    /// Ends a step that may have changed nothing, because its loss was too large or not a number: no point of such a loss is
    /// recorded.
    pub fn record_if_finite(
        &mut self,
        loss: &Tensor,
        others: &[(&str, &Tensor)],
        images: &Tensor,
        save: impl FnOnce(&mut Checkpoint),
    ) -> Result<()> {
        self.sum = Some(loss.f_detach()?);
        self.end_step(others, images, save, true)
    }

    fn end_step(
        &mut self,
        others: &[(&str, &Tensor)],
        images: &Tensor,
        save: impl FnOnce(&mut Checkpoint),
        if_finite: bool,
    ) -> Result<()> {
        self.done += 1;
        if self.done.is_multiple_of(self.length.steps_per_iteration) {
            let each = self.length.steps_per_iteration;
            let (iteration, iterations) = (self.done / each, self.length.steps / each);
            let due = |most: u64| (iteration - 1).is_multiple_of(iterations.div_ceil(most)) || iteration == iterations;
            let sum = self.sum.take();
            if due(POINTS) {
                let loss = sum.map(|sum| transfer::number(&sum)).transpose()?.map(|sum| sum / each as f64);
                if let Some(loss) = loss.filter(|loss| loss.is_finite() || !if_finite) {
                    self.point(LOSS, iteration, loss)?;
                }
                for (name, value) in others {
                    self.point(name, iteration, transfer::number(value)?)?;
                }
            }
            if due(PICTURES) {
                self.preview(iteration, images);
            }
        }
        self.tick(save)
    }

    /// Between two steps or in the middle of a long one: tells progress, saves what was after the last step when a
    /// checkpoint is due, and fails when the stage was asked to stop.
    pub fn tick(&self, save: impl FnOnce(&mut Checkpoint)) -> Result<()> {
        let last = self.losses().last().map(|(_, value)| *value);
        self.ctx.step(self.done, self.length.steps, self.length.unit, last, |checkpoint| {
            checkpoint.note("curves", &self.curves);
            if let Some(sum) = &self.sum {
                checkpoint.put("loss.sum", sum);
            }
            save(checkpoint);
            Ok(())
        })
    }

    fn point(&mut self, name: &str, iteration: u64, value: f64) -> Result<()> {
        ensure!(
            value.is_finite(),
            "the {name} is {value} after iteration {iteration}; a smaller {} may help",
            self.advice
        );
        self.ctx.metric(name, iteration, value);
        match self.curves.iter_mut().find(|(own, _)| own == name) {
            Some((_, points)) => points.push((iteration, value)),
            None => self.curves.push((name.into(), vec![(iteration, value)])),
        }
        Ok(())
    }

    fn preview(&self, iteration: u64, images: &Tensor) {
        let grid = Grid::new(self.start.ipc as usize, &self.start.origin);
        let normalisation = &self.start.normalisation;
        let uneven = self.start.counts().filter(|counts| counts.iter().any(|&count| count != self.start.ipc));
        let picture = match uneven {
            None => grid.png(images, Some(normalisation)),
            Some(counts) => {
                let shown = |images: Tensor| normalisation.undo(&images);
                grid.png(&by_class(images, &positions(&counts), grid.columns, shown), None)
            }
        };
        match picture {
            Ok(png) => self.ctx.preview(iteration, &png),
            Err(error) => self.ctx.log(format!("no picture on the way: {error:#}")),
        }
    }

    /// The document of the curves.
    pub fn curves(&self) -> Value {
        let curves = self.curves.iter().map(|(name, points)| (name.clone(), json!(points)));
        json!({ "curves": curves.collect::<serde_json::Map<_, _>>() })
    }

    /// The outputs `synthetic`, which is this set, and `curve`, and the scalars `loss_first`, `loss_last`, `seconds` and
    /// `iterations_per_second`.
    pub fn outputs(self, set: &SyntheticSet) -> Outputs {
        let iterations = (self.done - self.earlier) as f64 / self.length.steps_per_iteration as f64;
        let speed = iterations / self.started.elapsed().as_secs_f64().max(1e-9);
        let outputs = Outputs::default()
            .tensors("synthetic", set.to_file())
            .json("curve", ArtifactType::Metrics, self.curves())
            .metric("seconds", self.ctx.seconds())
            .metric("iterations_per_second", speed);
        match (self.losses().first(), self.losses().last()) {
            (Some(first), Some(last)) => outputs.metric("loss_first", first.1).metric("loss_last", last.1),
            _ => outputs,
        }
    }
}
