//! `distill.template`: moves synthetic images until the mean image of every class is that of the real images. A method
//! reads its inputs, loops and writes its outputs here; its equations are in `loss.rs`.

#![expect(non_snake_case, reason = "tensors carry their shape in their names; loss.rs has the legend")]

pub mod loss;

use crate::context::{Context, Inputs, Outputs};
use crate::distill::synthesis::{Learnable, Length, RealImages, Recorder};
use anyhow::Result;
use serde::Deserialize;

/// The parameters, as `stage.toml` declares them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "stage.toml documents them")]
pub struct Params {
    pub iterations: u64,
    pub lr_img: f64,
    pub batch_real: i64,
}

/// Runs the stage.
pub fn run(ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    let (dataset, start) = (inputs.dataset("real")?, inputs.start()?);
    let real = RealImages::new(&dataset, &start)?;

    // A run that was interrupted continues from its checkpoint; everything that a step needs is saved in `record`.
    let checkpoint = ctx.resume();
    let mut run = Recorder::new(ctx, &start, Length::iterations(params.iterations), "lr_img", checkpoint.as_ref())?;
    let mut images = Learnable::images(&start, params.lr_img, 0.0, checkpoint.as_ref())?;
    while let Some(step) = run.next() {
        // Every draw comes from a named stream of the step: here `stream(seed, "real", step)`.
        let drawn = real.draw(params.batch_real, ctx.seed, step);
        let synthetic = real.beside(images.value.shallow_clone());
        let (loss, gradient) = loss::loss_and_gradient(&drawn, &synthetic)?;
        images.step(&gradient)?;
        run.record(&loss, &[], &images.value, |checkpoint| images.store_images(checkpoint))?;
    }
    Ok(run.outputs(&start.with_images(images.value)))
}
