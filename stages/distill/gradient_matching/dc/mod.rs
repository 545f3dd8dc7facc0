//! `distill.dc`: moves synthetic images until the gradients that they give networks are those of the real images. The
//! loop is that of the family, in `gradient_matching/mod.rs`, the equations in `distance.rs` and `gradient.rs` there.

use super::GradientMatching;
use crate::context::{Context, Inputs, Outputs};
use crate::params::NetworkParams;
use anyhow::Result;
use serde::Deserialize;

/// The parameters, as `stage.toml` declares them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "stage.toml documents them")]
pub struct Params {
    #[serde(flatten)]
    pub matching: GradientMatching,
    #[serde(flatten)]
    pub network: NetworkParams,
}

/// Runs the stage.
pub fn run(ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    params.matching.run(ctx, inputs, &params.network, None)
}
