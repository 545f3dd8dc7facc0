//! `distill.datm`: trajectory matching whose range of start epochs is chosen by the size of the set (difficulty
//! alignment), with learnt labels. The loop is shared with MTT and PAD, in `trajectory_matching/mod.rs`.

use super::{Aligned, Selection, TrajectoryMatching};
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
}

/// Runs the stage.
pub fn run(ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    params.aligned.run(ctx, inputs, &params.matching, &params.augment, Selection::ALL)
}
