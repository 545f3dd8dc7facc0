//! `decode.cifar`: reads CIFAR-10 or CIFAR-100, binary version, into a training and a test set, from the archive
//! (`archive.rs`) or from files of records (`records.rs`). `layout.rs` holds names and sizes. Both sets are normalised
//! with mean, std and whitening of the training set.

mod archive;
mod layout;
mod records;

use crate::artifact::Dataset;
use crate::context::{Context, Inputs, Outputs};
use crate::data::class_names;
use crate::data::normalisation::{self, NormalisationSpec, Normalise, WhiteningMethod};
use crate::data::origin::origin;
use crate::data::resize::resize;
use anyhow::{Result, bail, ensure};
use archive::Archive;
use layout::Set;
use records::Records;
use serde::Deserialize;
use std::collections::HashMap;

/// The parameters: which data set and labels, the size of the images, and their normalisation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    set: Set,
    labels: Labels,
    resize: Option<i64>,
    normalise: Normalise,
    mean: Option<Vec<f64>>,
    std: Option<Vec<f64>>,
    whitening: WhiteningMethod,
    whitening_eps: f64,
    origin: Option<String>,
    class_names: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Labels {
    Fine,
    Coarse,
}

/// The number by which a byte is divided to lie in \[0,1\].
const SCALE: f64 = 255.0;

/// Runs the stage: reads both sets. Errors name the file and the offset in it.
pub fn run(ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    let chosen = chosen(params.set, params.labels)?;
    let classes = i64::from(params.set.labels()[chosen].classes);
    let mut sets = [Records::new(params.set, chosen), Records::new(params.set, chosen)];
    let origin = match (inputs.has("archive"), inputs.has("train"), inputs.has("test")) {
        (true, false, false) => from_archive(ctx, inputs, &params, &mut sets)?,
        (false, true, true) => from_files(ctx, inputs, &params, &mut sets)?,
        (true, _, _) => bail!("an archive holds both sets: leave inputs `train` and `test` out, or `archive`"),
        _ => bail!("connect `archive`, or `train` with the training files and `test` with the test file"),
    };
    let [train, test] = sets.map(Records::tensors);
    let (mut train, mut test) = (train?, test?);
    for (images, _) in [&mut train, &mut test] {
        ctx.check()?;
        if let Some(size) = params.resize {
            *images = resize(images, [size, size])?;
        }
    }
    let (mean, std) = (params.mean.as_deref(), params.std.as_deref());
    let Params { normalise, whitening, whitening_eps: eps, .. } = params;
    let normalisation = NormalisationSpec { normalise, mean, std, whitening, eps, scale: SCALE }.of(ctx, &train.0)?;

    let class_names = class_names(params.class_names.clone(), classes)?;
    let mut outputs = Outputs::default();
    for (name, (images, labels)) in [("train", train), ("test", test)] {
        let (normalisation, origin, agreement) = (normalisation.clone(), origin.clone(), None);
        let class_names = class_names.clone();
        let set = Dataset { images, labels, agreement, classes, normalisation, scale: SCALE, origin, class_names };
        outputs = outputs.tensors(name, set.to_file()).metric(&format!("{name}_images"), set.len() as f64);
    }
    outputs = outputs.metric("classes", classes as f64);
    let scalars = normalisation::scalars(&normalisation);
    Ok(scalars.into_iter().fold(outputs, |outputs, (name, value)| outputs.metric(&name, value)))
}

/// The index of the label byte that is used as the label; an error for coarse labels of CIFAR-10, which has none.
fn chosen(set: Set, labels: Labels) -> Result<usize> {
    match (set, labels) {
        (Set::Cifar10, Labels::Fine) | (Set::Cifar100, Labels::Coarse) => Ok(0),
        (Set::Cifar100, Labels::Fine) => Ok(1),
        (Set::Cifar10, Labels::Coarse) => bail!("`labels = \"coarse\"`: CIFAR-10 has one kind of label"),
    }
}

fn from_archive(ctx: &Context, inputs: &Inputs, params: &Params, sets: &mut [Records; 2]) -> Result<String> {
    let input = inputs.one("archive")?;
    let archive = Archive::read(&inputs.bytes("archive")?, &input.name, params.set, || ctx.check())?;
    let test = archive.files.len() - 1;
    for (position, (file, bytes)) in archive.files.into_iter().enumerate() {
        sets[usize::from(position == test)].add(&format!("{}: {file}", input.name), &bytes)?;
    }
    Ok(origin(params.origin.as_deref(), &archive.comment, || {
        format!("{} archive {}", params.set.name(), input.digest.short())
    }))
}

fn from_files(ctx: &Context, inputs: &Inputs, params: &Params, sets: &mut [Records; 2]) -> Result<String> {
    let mut seen = HashMap::new();
    for (set, name) in sets.iter_mut().zip(["train", "test"]) {
        for input in inputs.many(name) {
            ctx.check()?;
            if let Some(other) = seen.insert(input.digest, &input.name) {
                bail!("{} is the same file as {other}; each belongs into the list once", input.name);
            }
            set.add(&input.name, &inputs.bytes_of(input)?)?;
        }
    }
    let first = inputs.many("train").first().map(|input| input.digest.short());
    ensure!(first.is_some(), "input \"train\" is not connected");
    let unnamed = || format!("{} file {}", params.set.name(), first.unwrap_or_default());
    Ok(params.origin.clone().unwrap_or_else(unnamed))
}
