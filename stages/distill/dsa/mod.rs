//! `distill.dsa`: gradient matching as `distill.dc` does it, under differentiable Siamese augmentation. The loop and the
//! equations are in `common/matching/`.

use crate::common::augment::Strategy;
use crate::common::matching::{Condensation, Distance};
use crate::common::network::{Activation, Norm, Overrides, Pooling};
use crate::context::{Context, Inputs, Outputs};
use anyhow::Result;
use serde::Deserialize;

/// The parameters, as `stage.toml` declares them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "stage.toml documents them")]
pub struct Params {
    pub iterations: u64,
    pub outer_loop: Option<u64>,
    pub inner_loop: Option<u64>,
    pub lr_img: f64,
    pub momentum_img: f64,
    pub lr_net: f64,
    pub batch_real: i64,
    pub batch_train: i64,
    pub distance: Distance,
    pub strategy: Strategy,
    pub arch: String,
    pub width: Option<i64>,
    pub depth: Option<i64>,
    pub norm: Option<Norm>,
    pub activation: Option<Activation>,
    pub pooling: Option<Pooling>,
    pub chunk: Option<i64>,
}

/// Runs the stage.
pub fn run(ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    let Params { width, depth, norm, activation, pooling, .. } = params;
    let condensation = Condensation {
        iterations: params.iterations,
        outer_loop: params.outer_loop,
        inner_loop: params.inner_loop,
        lr_img: params.lr_img,
        momentum_img: params.momentum_img,
        lr_net: params.lr_net,
        batch_real: params.batch_real,
        batch_train: params.batch_train,
        distance: params.distance,
        strategy: Some(params.strategy),
        arch: params.arch,
        overrides: Overrides { width, depth, norm, activation, pooling },
        chunk: params.chunk,
    };
    condensation.run(ctx, inputs)
}
