//! Takes the images out of a synthetic set whose stored images hold several each. The decoding itself belongs to the set
//! (`artifact::Decoder`); stages that learn from a set do the same on their own.

use crate::context::{Context, Inputs, Outputs};
use anyhow::Result;
use serde::Deserialize;

/// There are none.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {}

/// Decodes the set.
pub fn run(_ctx: &Context, inputs: &Inputs, Params {}: Params) -> Result<Outputs> {
    let stored = inputs.stored("synthetic")?.ipc;
    let set = inputs.synthetic("synthetic")?;
    Ok(Outputs::default()
        .metric("ipc", set.ipc as f64)
        .metric("stored_ipc", stored as f64)
        .tensors("synthetic", set.to_file()))
}
