//! `init.synthetic`: the first synthetic set, of real images drawn class by class or of noise with the same shape. It
//! is computed on the CPU, so that it has the same bits on every device.

use crate::artifact::{Dataset, SyntheticSet};
use crate::context::{Context, Inputs, Outputs};
use anyhow::{Result, ensure};
use ddpipe_nn::stream::stream;
use serde::Deserialize;
use tch::{Device, Tensor};

/// The parameters: the number of images per class, and their source.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    ipc: i64,
    from: From,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum From {
    Real,
    Noise,
}

/// Runs the stage: makes the set. Every class has its own random stream, so further classes do not change the draws of
/// the others.
pub fn run(ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    let real = inputs.dataset("real")?;
    let images = match params.from {
        From::Real => drawn(&real, ctx.seed, params.ipc)?,
        From::Noise => noise(&real, ctx.seed, params.ipc),
    };
    let labels =
        Tensor::arange(real.classes, (tch::Kind::Int64, Device::Cpu)).repeat_interleave_self_int(params.ipc, 0, None);
    let set = SyntheticSet {
        images: images.to_device(ctx.device),
        labels: labels.to_device(ctx.device),
        classes: real.classes,
        ipc: params.ipc,
        normalisation: real.normalisation,
        origin: real.origin,
        class_names: real.class_names,
        lr: None,
        targets: false,
        decoder: None,
    };
    Ok(Outputs::default().tensors("synthetic", set.to_file()))
}

/// \[classes*ipc,C,H,W\], normalised: `ipc` real images of each class, drawn without replacement. An error if a class
/// has fewer.
fn drawn(real: &Dataset, seed: u64, ipc: i64) -> Result<Tensor> {
    let mut chosen = Vec::new();
    for (class, positions) in real.positions_by_class()?.iter().enumerate() {
        ensure!(
            positions.len() as i64 >= ipc,
            "class {class} has {} real images, fewer than ipc = {ipc}; lower ipc, or start from noise",
            positions.len()
        );
        chosen.extend(stream(seed, "init", class as u64).choose(positions, ipc as usize));
    }
    let chosen = Tensor::from_slice(&chosen).to_device(real.images.device());
    let images = Dataset {
        images: real.images.index_select(0, &chosen).to_device(Device::Cpu),
        labels: real.labels.index_select(0, &chosen).to_device(Device::Cpu),
        agreement: None,
        normalisation: real.normalisation.clone(),
        origin: String::new(),
        class_names: Vec::new(),
        ..*real
    };
    Ok(images.floats())
}

/// \[classes*ipc,C,H,W\], standard normal noise.
fn noise(real: &Dataset, seed: u64, ipc: i64) -> Tensor {
    let [channels, height, width] = real.image_shape();
    let shape = [ipc, channels, height, width];
    let classes: Vec<Tensor> =
        (0..real.classes).map(|class| stream(seed, "init", class as u64).normal_tensor(&shape)).collect();
    Tensor::cat(&classes, 0)
}
