//! `decode.synthetic`: decodes a synthetic set whose stored images are factorised, so that each of its images is stored
//! as one. The decoding is in `artifact::Decoder`; stages that learn from a set decode it on their own.

use crate::context::{Context, Inputs, Outputs};
use anyhow::Result;
use serde::Deserialize;

/// The parameters; the kind has none.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {}

/// Runs the stage: decodes the set, and reports images per class before and after.
pub fn run(_ctx: &Context, inputs: &Inputs, Params {}: Params) -> Result<Outputs> {
    let stored = inputs.stored("synthetic")?.ipc;
    let set = inputs.synthetic("synthetic")?;
    Ok(Outputs::default()
        .metric("ipc", set.ipc as f64)
        .metric("stored_ipc", stored as f64)
        .tensors("synthetic", set.to_file()))
}
