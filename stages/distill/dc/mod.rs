//! `distill.dc`: moves synthetic images until the gradients that they give networks are those of the real images. The
//! loop and the equations are in `common/matching/`, which `distill.dsa` uses too.

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
    #[serde(flatten)]
    pub network: NetworkParams,
}

/// Runs the stage.
pub fn run(ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    params.condensation.run(ctx, inputs, &params.network, None)
}
