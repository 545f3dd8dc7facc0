//! `distill.dsa`: gradient matching as `distill.dc` does it, under differentiable Siamese augmentation. The loop and the
//! equations are in `common/matching/`.

use crate::common::augment::Strategy;
use crate::common::matching::Condensation;
use crate::common::network::NetworkParams;
use crate::context::{Context, Inputs, Outputs};
use anyhow::Result;
use serde::Deserialize;

/// The parameters, as `stage.toml` declares them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "stage.toml documents them")]
pub struct Params {
    #[serde(flatten)]
    pub condensation: Condensation,
    pub strategy: Strategy,
    #[serde(flatten)]
    pub network: NetworkParams,
}

/// Runs the stage.
pub fn run(ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    params.condensation.run(ctx, inputs, &params.network, Some(&params.strategy))
}
