//! `distill.dsa`: gradient matching as `distill.dc` does it, under differentiable Siamese augmentation. The loop is that
//! of the family, in `gradient_matching/mod.rs`.

use super::GradientMatching;
use crate::context::{Context, Inputs, Outputs};
use crate::params::NetworkParams;
use anyhow::Result;
use ddpipe_nn::augment::Strategy;
use serde::Deserialize;

/// The parameters, as `stage.toml` declares them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "stage.toml documents them")]
pub struct Params {
    #[serde(flatten)]
    pub matching: GradientMatching,
    pub strategy: Strategy,
    #[serde(flatten)]
    pub network: NetworkParams,
}

/// Runs the stage.
pub fn run(ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    params.matching.run(ctx, inputs, &params.network, Some(&params.strategy))
}
