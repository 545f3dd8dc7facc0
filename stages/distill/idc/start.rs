//! The pixels that a run starts from: real images, a grid of real images in each, noise, or those of a set that is
//! given. Pixels lie in \[0,1\].

use crate::artifact::{Dataset, Decoder, Normalisation, SyntheticSet, mosaic};
use crate::context::{Context, Inputs};
use anyhow::{Context as _, Result, bail, ensure};
use ddpipe_nn::stream::stream;
use serde::Deserialize;
use tch::{Device, Kind, Tensor};

/// What the first images are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Init {
    /// One real image each.
    Random,
    /// A grid of real images, each made as small as its cell.
    Mix,
    /// A quarter of standard normal noise about grey.
    Noise,
}

/// The set to start from, with pixels in place of normalised images, and no normalisation.
pub fn start(
    ctx: &Context,
    inputs: &Inputs,
    real: &Dataset,
    ipc: Option<i64>,
    init: Option<Init>,
    decoder: Decoder,
) -> Result<SyntheticSet> {
    if inputs.has("start") {
        return given(inputs, ipc, init, decoder);
    }
    let ipc = ipc.context("`ipc` is missing: without a `start` it says how many images of every class to store")?;
    // As published: a grid starts as a grid.
    let init = init.unwrap_or(if decoder.factor > 1 { Init::Mix } else { Init::Random });
    let images = made(ctx, real, ipc, init, decoder.factor)?;
    let labels = Tensor::arange(real.classes, (Kind::Int64, Device::Cpu)).repeat_interleave_self_int(ipc, 0, None);
    Ok(SyntheticSet {
        images: images.to_device(ctx.device),
        labels: labels.to_device(ctx.device),
        classes: real.classes,
        ipc,
        normalisation: Normalisation::identity(real.image_shape()[0] as usize),
        origin: real.origin.clone(),
        class_names: real.class_names.clone(),
        lr: None,
        targets: false,
        decoder: None,
    })
}

fn given(inputs: &Inputs, ipc: Option<i64>, init: Option<Init>, decoder: Decoder) -> Result<SyntheticSet> {
    let set = inputs.stored("start")?;
    inputs.as_real(&set)?;
    let name = &inputs.one("start")?.name;
    set.refuse_targets().context("input \"start\"")?;
    if let Some(ipc) = ipc.filter(|&ipc| ipc != set.ipc) {
        bail!("ipc = {ipc}, but {name} stores {} images of every class; leave `ipc` out", set.ipc);
    }
    ensure!(
        init.is_none(),
        "`init` says how to begin without a `start`, but {name} is connected; leave one of them out"
    );
    let held = set.decoder.map_or(1, |decoder| decoder.factor);
    ensure!(
        held == decoder.factor,
        "factor = {}, but the images of {name} are cut by a factor of {held}; set factor = {held}, or leave `start` out \
         to begin with grids of real images",
        decoder.factor
    );
    let images = set.normalisation.undo(&set.images);
    let normalisation = Normalisation::identity(images.size()[1] as usize);
    Ok(SyntheticSet { images, normalisation, decoder: None, ..set })
}

/// \[K ipc,C,H,W\] on the host, so that every device starts from the same bits. Every class has a stream of its own.
fn made(ctx: &Context, real: &Dataset, ipc: i64, init: Init, factor: i64) -> Result<Tensor> {
    let [channels, height, width] = real.image_shape();
    let each = match init {
        Init::Mix => ipc * factor * factor,
        Init::Random | Init::Noise => ipc,
    };
    let mut classes = Vec::new();
    for (class, positions) in real.positions_by_class()?.iter().enumerate() {
        let mut stream = stream(ctx.seed, "init", class as u64);
        if init == Init::Noise {
            let noise = stream.normal_tensor(&[ipc, channels, height, width]);
            classes.push((noise / 4.0 + 0.5).clamp(0.0, 1.0));
            continue;
        }
        ensure!(
            positions.len() as i64 >= each,
            "class {class} has {} real images, and {each} are wanted to begin with; lower ipc or factor, or set init = \
             \"noise\"",
            positions.len()
        );
        let chosen = Tensor::from_slice(&stream.choose(positions, each as usize)).to_device(real.images.device());
        let images = real.images.index_select(0, &chosen).to_device(Device::Cpu).to_kind(Kind::Float) / real.scale;
        classes.push(if init == Init::Mix { mosaic(&images, ipc, factor, [height, width])? } else { images });
    }
    Ok(Tensor::f_cat(&classes, 0)?)
}
