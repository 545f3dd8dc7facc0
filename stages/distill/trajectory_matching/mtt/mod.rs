//! `distill.mtt`: optimises synthetic images, and the learning rate that students use on them, so that training on the
//! images moves a student's parameters to where an expert's went. The loop is shared with DATM and PAD, in
//! `trajectory_matching/mod.rs`.

use super::{Labels, Learnt, Matching, Selection, SgdSettings, TrajectoryMatching};
use crate::context::{Context, Inputs, Outputs};
use crate::params::DsaParams;
use crate::training::Experts;
use anyhow::{Context as _, Result};
use serde::Deserialize;
use tch::Tensor;

/// The parameters, as `stage.toml` declares them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "stage.toml documents them")]
pub struct Params {
    #[serde(flatten)]
    pub matching: TrajectoryMatching,
    #[serde(flatten)]
    pub augment: DsaParams,
    pub threshold: Option<f64>,
}

/// Runs the stage.
pub fn run(ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    let matching = &params.matching;
    let start = inputs.start()?;
    start.refuse_targets().context("input \"start\"")?;
    let experts = Experts::open(inputs, "experts")?;
    experts.fit(&start)?;
    experts.reach(matching.max_start_epoch, matching.expert_epochs)?;
    let optimiser = matching.optimiser(SgdSettings { lr: 0.0, momentum: 0.0 }, params.threshold);
    let initial = || {
        Ok(Learnt {
            images_MCHW: start.images.copy(),
            labels: Labels::Fixed(start.labels.shallow_clone()),
            lr: Tensor::from(matching.lr_teacher as f32).to_device(ctx.device),
        })
    };
    let matched = Matching { start: &start, experts: &experts, optimiser, selection: Selection::ALL };
    matching.run(ctx, matched, &params.augment, initial, |_| 0..matching.max_start_epoch)
}
