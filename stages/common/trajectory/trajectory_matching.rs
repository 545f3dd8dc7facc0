//! The loop of trajectory matching: in every iteration a student starts where an expert was, takes some steps on the
//! synthetic images, and the images follow what would have brought it closer to where the expert went. Which start epochs
//! are allowed, and where images and labels begin, is the method's.

use super::{Descent, Experts, GradientForm, Inner, Learnt, Pace, Rates, Selection, Unrolling};
use crate::artifact::SyntheticSet;
use crate::common::augment::DsaParams;
use crate::context::{Context, Outputs};
use anyhow::Result;
use serde::Deserialize;
use std::ops::Range;

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

/// What follows whom.
pub struct Task<'a> {
    /// The set to start from.
    pub start: &'a SyntheticSet,
    /// Whom its students follow.
    pub experts: &'a Experts,
    /// How fast.
    pub pace: Pace,
    /// Which parameters count.
    pub selection: Selection,
}

impl TrajectoryMatching {
    /// The pace of these parameters, with that of learnt labels and the threshold above which nothing moves.
    pub fn pace(&self, logits: Rates, threshold: Option<f64>) -> Pace {
        Pace {
            iterations: self.iterations,
            images: Rates { lr: self.lr_img, momentum: self.momentum_img },
            lr: Rates { lr: self.lr_lr, momentum: self.momentum_lr },
            logits,
            threshold,
        }
    }

    /// Runs a stage on a set that fits the experts. `first` gives images and labels to begin with, and is not asked where
    /// a run continues; `range` gives the start epochs of an iteration.
    pub fn run(
        &self,
        ctx: &Context,
        Task { start, experts, pace, selection }: Task,
        augment: &DsaParams,
        first: impl FnOnce() -> Result<Learnt>,
        range: impl Fn(u64) -> Range<u64>,
    ) -> Result<Outputs> {
        let inner = Inner::new(self.syn_steps, self.batch_syn, augment.strategy());
        let mut descent = match ctx.resume() {
            Some(checkpoint) => Descent::resumed(ctx, start, &checkpoint, pace)?,
            None => Descent::new(ctx, start, first()?, pace)?,
        };
        while let Some(iteration) = descent.next() {
            let stretch = experts.stretch(ctx.seed, iteration, range(iteration), self.expert_epochs, ctx.device)?;
            let steps = inner.draw(ctx.seed, iteration, &start.images.size(), ctx.device);
            let unrolling = Unrolling {
                network: experts.network(),
                start_P: &stretch.start_P,
                target_P: &stretch.target_P,
                steps: &steps,
                settings: &inner.settings,
            };
            let matched = unrolling.matched_where(&selection, descent.learnt(), self.gradient)?;
            descent.descend(&matched)?;
        }
        descent.outputs()
    }
}
