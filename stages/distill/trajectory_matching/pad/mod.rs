//! `distill.pad`: trajectory matching with a growing range of start epochs, learnt labels, and a loss over a selection
//! of the network's parameters. The loop is shared with MTT and DATM, in `trajectory_matching/mod.rs`.

use super::{Aligned, Selection, Selector, TrajectoryMatching};
use crate::context::{Context, Inputs, Outputs};
use crate::params::DsaParams;
use anyhow::Result;
use serde::Deserialize;

/// The parameters, as `stage.toml` declares them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "stage.toml documents them")]
pub struct Params {
    #[serde(flatten)]
    pub matching: TrajectoryMatching,
    #[serde(flatten)]
    pub aligned: Aligned,
    #[serde(flatten)]
    pub augment: DsaParams,
    pub select: Selector,
    pub ratio: f64,
}

/// Runs the stage.
pub fn run(ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    let selection = Selection { by: params.select, ratio: params.ratio };
    params.aligned.run(ctx, inputs, &params.matching, &params.augment, selection)
}
