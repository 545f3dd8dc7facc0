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
    short: Short,
}

/// What becomes of a class that has fewer images than are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Short {
    Refuse,
    Repeat,
    Fewer,
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
    let (images, labels) = match params.from {
        From::Real => drawn(ctx, &real, &params)?,
        From::Noise => {
            let classes = Tensor::arange(real.classes, (tch::Kind::Int64, Device::Cpu));
            (noise(&real, ctx.seed, params.ipc), classes.repeat_interleave_self_int(params.ipc, 0, None))
        }
    };
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

/// Images \[M,C,H,W\], normalised, and labels \[M\]: `ipc` real images of each class, drawn without replacement. Where there
/// are fewer they are drawn in turns, or are all that the class has, as `short` says. An error if a class has fewer
/// otherwise, or none.
fn drawn(ctx: &Context, real: &Dataset, params: &Params) -> Result<(Tensor, Tensor)> {
    let (mut chosen, mut small) = (Vec::new(), Vec::new());
    for (class, positions) in real.positions_by_class()?.iter().enumerate() {
        let (name, count) = (named(real, class), positions.len() as i64);
        ensure!(count > 0, "{name} has no real image; start from noise, or leave the class out of the data");
        ensure!(
            count >= params.ipc || params.short != Short::Refuse,
            "{name} has {count} real images, fewer than ipc = {}; lower ipc, repeat them (short = \"repeat\"), take all that \
             there are (\"fewer\"), or start from noise",
            params.ipc
        );
        small.extend((count < params.ipc).then(|| format!("{name} ({count})")));
        let turns = if params.short == Short::Fewer { 1 } else { (params.ipc + count - 1) / count };
        for turn in 0..turns {
            let left = (params.ipc - turn * count).min(count) as usize;
            // The first turn draws as it does without repetition.
            let purpose = if turn == 0 { "init".to_string() } else { format!("init, turn {turn}") };
            chosen.extend(stream(ctx.seed, &purpose, class as u64).choose(positions, left));
        }
    }
    if !small.is_empty() {
        let first: Vec<&str> = small.iter().take(5).map(String::as_str).collect();
        let have = if params.short == Short::Fewer { "fewer" } else { "repeated" };
        ctx.warn(format!("{} classes have {have} images, among them {}", small.len(), first.join(", ")));
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
    Ok((images.floats(), images.labels))
}

fn named(real: &Dataset, class: usize) -> String {
    let name = real.class_names.get(class).map(|name| format!(" {name:?}")).unwrap_or_default();
    format!("class {class}{name}")
}

/// \[classes*ipc,C,H,W\], standard normal noise.
fn noise(real: &Dataset, seed: u64, ipc: i64) -> Tensor {
    let [channels, height, width] = real.image_shape();
    let shape = [ipc, channels, height, width];
    let classes: Vec<Tensor> =
        (0..real.classes).map(|class| stream(seed, "init", class as u64).normal_tensor(&shape)).collect();
    Tensor::cat(&classes, 0)
}
