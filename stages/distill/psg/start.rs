//! The synthetic set that a run starts from: noise, which costs no privacy, or a set that someone vouches for.

use crate::artifact::{Dataset, SyntheticSet};
use crate::context::{Context, Inputs};
use anyhow::{Context as _, Result, ensure};
use ddpipe_nn::stream::stream;
use tch::{Device, Kind, Tensor};

/// Noise with `ipc` images of every class; the input `start` only where it is said to be public.
pub fn start(
    ctx: &Context,
    inputs: &Inputs,
    real: &Dataset,
    ipc: Option<i64>,
    is_public: bool,
) -> Result<SyntheticSet> {
    if !inputs.has("start") {
        let ipc = ipc.context("`ipc` is missing: without a `start` it says how many images of every class to make")?;
        return Ok(noise(ctx, real, ipc));
    }
    let name = &inputs.one("start")?.name;
    ensure!(
        is_public,
        "{name} is connected as `start`, and epsilon would not cover what it shows: a set drawn from the private images \
         publishes them. Leave `start` out to begin with noise; or, if it was made without them (noise, public images), \
         vouch for it with start_is_public = true"
    );
    let set = inputs.start()?;
    set.refuse_targets().context("input \"start\"")?;
    let (shape, size) = (real.image_shape(), set.images.size());
    ensure!(
        shape[..] == size[1..] && real.classes == set.classes && set.ipc > 0 && size[0] == set.classes * set.ipc,
        "the real images are {shape:?} (channels, height, width) of {} classes, and {name} has {} images of {:?}, {} of \
         each of {} classes; start from a set that is like them, or from noise",
        real.classes,
        size[0],
        &size[1..],
        set.ipc,
        set.classes
    );
    ensure!(
        ipc.is_none_or(|ipc| ipc == set.ipc),
        "ipc = {}, but {name} has {} images of every class; leave `ipc` out",
        ipc.unwrap_or_default(),
        set.ipc
    );
    Ok(set)
}

/// Standard normal images, drawn on the CPU, class by class, so that more classes change none that were there.
fn noise(ctx: &Context, real: &Dataset, ipc: i64) -> SyntheticSet {
    let [channels, height, width] = real.image_shape();
    let class = |class: i64| stream(ctx.seed, "start", class as u64).normal_tensor(&[ipc, channels, height, width]);
    let images = Tensor::cat(&(0..real.classes).map(class).collect::<Vec<_>>(), 0);
    let labels = Tensor::arange(real.classes, (Kind::Int64, Device::Cpu)).repeat_interleave_self_int(ipc, 0, None);
    SyntheticSet {
        images: images.to_device(ctx.device),
        labels: labels.to_device(ctx.device),
        classes: real.classes,
        ipc,
        normalisation: real.normalisation.clone(),
        origin: real.origin.clone(),
        class_names: real.class_names.clone(),
        lr: None,
        targets: false,
        decoder: None,
    }
}
