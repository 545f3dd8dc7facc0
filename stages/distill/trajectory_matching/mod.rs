//! The loop of trajectory matching (MTT, DATM, PAD). In every iteration a student starts with the parameters that an
//! expert had after some epoch and takes some steps on the synthetic images. The images are then changed so that the
//! student would have ended closer to the parameters that the expert had some epochs later. The methods differ in the
//! allowed start epochs and in the initial images and labels.

#![expect(non_snake_case, reason = "tensors carry their shape in their names; unrolling.rs has the legend")]

mod aligned;
pub mod correct_images;
pub mod datm;
mod gradient;
mod initial;
mod initial_labels;
mod inner;
mod learnt_set;
pub mod mtt;
pub mod pad;
mod range;
mod selection;
mod step;
mod unrolling;

pub use aligned::Aligned;
pub use gradient::GradientForm;
pub use initial::{Initial, InitialImages};
pub use initial_labels::LabelSums;
pub use inner::{Inner, InnerStep, batches};
pub use learnt_set::{LearntSet, OptimiserSettings, SgdSettings};
pub use range::StartRange;
pub use selection::{Selection, Selector};
pub use unrolling::{Gradients, Labels, Learnt, Matched, Unrolling};

use crate::artifact::SyntheticSet;
use crate::context::{Checkpoint, Context, Outputs};
use crate::device_memory::free_bytes;
use crate::distill::synthesis::{Length, Recorder};
use crate::params::DsaParams;
use crate::training::Experts;
use anyhow::{Result, ensure};
use ddpipe_nn::transfer;
use serde::Deserialize;
use std::ops::Range;
use tch::{Kind, Tensor};

/// The parameters of trajectory matching. Part of a kind's `Params`, by `#[serde(flatten)]`.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "each is the parameter of the same name in stage.toml, which has the help")]
pub struct TrajectoryMatching {
    pub iterations: u64,
    pub syn_steps: u64,
    pub expert_epochs: u64,
    pub max_start_epoch: u64,
    pub batch_syn: Option<i64>,
    pub lr_img: f64,
    pub momentum_img: f64,
    pub lr_teacher: f64,
    pub lr_lr: f64,
    pub momentum_lr: f64,
    pub gradient: GradientForm,
}

/// The set, the experts and the settings with which a method runs the loop.
pub struct Matching<'a> {
    /// The set to start from.
    pub start: &'a SyntheticSet,
    /// The experts whose trajectories the students are to follow.
    pub experts: &'a Experts,
    /// How images, labels and learning rate are optimised.
    pub optimiser: OptimiserSettings,
    /// The parameters of the network over which the loss is taken.
    pub selection: Selection,
}

impl TrajectoryMatching {
    /// The optimisers of images and learning rate by these parameters, with `logits` as that of learnt labels. In an
    /// iteration whose loss is above `threshold` nothing changes.
    pub fn optimiser(&self, logits: SgdSettings, threshold: Option<f64>) -> OptimiserSettings {
        OptimiserSettings {
            images: SgdSettings { lr: self.lr_img, momentum: self.momentum_img },
            lr: SgdSettings { lr: self.lr_lr, momentum: self.momentum_lr },
            logits,
            threshold,
        }
    }

    /// Runs a stage on a set that fits the experts. `initial` returns the images, labels and learning rate to begin
    /// with; it is not called where a run continues from a checkpoint. `range` returns the start epochs from which an
    /// iteration draws. An error if the loss is not finite, unless a threshold skips such iterations.
    pub fn run(
        &self,
        ctx: &Context,
        Matching { start, experts, optimiser, selection }: Matching,
        augment: &DsaParams,
        initial: impl FnOnce() -> Result<Learnt>,
        range: impl Fn(u64) -> Range<u64>,
    ) -> Result<Outputs> {
        let inner = Inner::new(self.syn_steps, self.batch_syn, augment.strategy());
        let checkpoint = ctx.resume();
        let length = Length::iterations(self.iterations);
        let mut run = Recorder::new(ctx, start, length, "lr_img, lr_lr or lr_teacher", checkpoint.as_ref())?;
        // How many iterations changed nothing: on the device, as is whether the loss is above the threshold.
        let (mut learnt, mut skipped) = match &checkpoint {
            Some(checkpoint) => {
                (LearntSet::restore(checkpoint, start, optimiser)?, checkpoint.get("skipped")?.shallow_clone())
            }
            None => (LearntSet::new(initial()?, optimiser), Tensor::f_zeros([0i64; 0], (Kind::Int64, ctx.device))?),
        };
        let (room, mut told) = (free_bytes(ctx.device), false);
        while let Some(iteration) = run.next() {
            let segment = experts.segment(ctx.seed, iteration, range(iteration), self.expert_epochs, ctx.device)?;
            let steps = inner.draw(ctx.seed, iteration, &start.images.size(), ctx.device);
            let unrolling = Unrolling {
                network: experts.network(),
                start_P: &segment.start_P,
                target_P: &segment.target_P,
                steps: &steps,
                settings: &inner.settings,
                room,
            };
            if self.gradient == GradientForm::Unrolled && !unrolling.fits() && !std::mem::replace(&mut told, true) {
                ctx.warn(too_large(&unrolling, self.syn_steps));
            }
            let matched = unrolling.matched_where(&selection, &learnt.learnt(), self.gradient)?;
            // A loss that is not a number is not below the threshold either.
            let kept = optimiser.threshold.map(|threshold| matched.loss.f_le(threshold)).transpose()?;
            learnt.step(&matched.gradients, kept.as_ref())?;
            if let Some(kept) = &kept {
                skipped = skipped.f_add(&kept.f_logical_not()?)?;
            }
            let save = |checkpoint: &mut Checkpoint| {
                learnt.store(checkpoint);
                checkpoint.put("skipped", &skipped);
            };
            let lr = [("lr", learnt.lr())];
            match kept {
                None => run.record(&matched.loss, &lr, learnt.images(), save)?,
                Some(_) => run.record_if_finite(&matched.loss, &lr, learnt.images(), save)?,
            }
        }
        let skipped = transfer::number(&skipped)?;
        ensure!(
            skipped < self.iterations as f64,
            "none of the {skipped} iterations changed anything, because their loss was above the threshold of {}; the set \
             would be the start: lower lr_teacher, or raise the threshold",
            optimiser.threshold.unwrap_or(f64::NAN)
        );
        let rate = transfer::number(learnt.lr())?;
        if rate <= 0.0 || !rate.is_finite() {
            ctx.warn(format!(
                "the learnt rate has become {rate}, with which nothing can be trained (learned_lr); a smaller lr_lr may help"
            ));
        }
        if skipped > 0.0 {
            ctx.warn(format!(
                "{skipped} of {} iterations changed nothing, because their loss was above the threshold",
                self.iterations
            ));
        }
        let set = learnt.set(start)?;
        Ok(run.outputs(&set).tensors("synthetic", learnt.to_file(&set)).metric("lr", rate).metric("skipped", skipped))
    }
}

/// What is said where the graphs of all inner steps do not fit.
fn too_large(unrolling: &Unrolling, steps: u64) -> String {
    let gigabytes = |bytes: u64| format!("{:.1} GB", bytes as f64 / 1e9);
    format!(
        "the graphs of {steps} inner steps take about {}, and {} are free: each step is computed twice instead, with the \
         graph of one at a time and the same result; fewer images per step (batch_syn) would fit, and gradient = \
         \"recomputed\" takes a little less time",
        gigabytes(unrolling.graph_bytes()),
        gigabytes(unrolling.room.unwrap_or_default()),
    )
}
