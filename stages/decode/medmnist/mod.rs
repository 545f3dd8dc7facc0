//! `decode.medmnist`: reads a data set of MedMNIST, one .npz archive, into a training, a validation and a test set.
//! `data::numpy` reads the format, `sets.rs` checks the arrays. All sets are normalised with mean, std and whitening of the
//! training set.

mod sets;

use crate::artifact::Dataset;
use crate::context::{Context, Inputs, Outputs};
use crate::data::normalisation::{self, NormalisationSpec, Normalise, WhiteningMethod};
use crate::data::numpy::Archive;
use crate::data::origin::origin;
use crate::data::resize::resize;
use crate::data::{absent_classes, class_names};
use anyhow::{Context as _, Result};
use serde::Deserialize;
use sets::Set;

/// The parameters: number of classes, size of the images, and their normalisation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    classes: Option<i64>,
    resize: Option<i64>,
    normalise: Normalise,
    mean: Option<Vec<f64>>,
    std: Option<Vec<f64>>,
    whitening: WhiteningMethod,
    whitening_eps: f64,
    origin: Option<String>,
    class_names: Option<Vec<String>>,
    max_ratio: u64,
}

/// The prefixes of the names of the arrays, which are also the names of the outputs.
const SETS: [&str; 3] = ["train", "val", "test"];

/// The number by which a byte is divided to lie in \[0,1\].
const SCALE: f64 = 255.0;

/// Runs the stage: reads the three sets. Errors name the file and the array in it.
pub fn run(ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    let input = inputs.one("file")?;
    let bytes = inputs.bytes("file")?;
    let mut archive = Archive::open(&bytes, params.max_ratio).with_context(|| input.name.clone())?;
    let mut sets = Vec::new();
    for name in SETS {
        ctx.check()?;
        let mut set = Set::read(&mut archive, name).with_context(|| input.name.clone())?;
        if let Some(size) = params.resize {
            set.images = resize(&set.images, [size, size])?;
        }
        sets.push(set);
    }
    let classes = sets::classes(&SETS, &sets, params.classes).with_context(|| input.name.clone())?;
    if let Some(absent) = absent_classes(&sets[0].labels, classes, "the labels may be numbered from 1") {
        ctx.warn(format!("{}: train_labels.npy: {absent}", input.name));
    }
    let (mean, std) = (params.mean.as_deref(), params.std.as_deref());
    let Params { normalise, whitening, whitening_eps: eps, .. } = params;
    let normalisation =
        NormalisationSpec { normalise, mean, std, whitening, eps, scale: SCALE }.of(ctx, &sets[0].images)?;

    let origin =
        origin(params.origin.as_deref(), &archive.comment, || format!("MedMNIST file {}", input.digest.short()));
    let class_names = class_names(params.class_names.clone(), classes)?;
    let mut outputs = Outputs::default();
    for (name, set) in SETS.iter().zip(sets) {
        let (normalisation, origin, agreement) = (normalisation.clone(), origin.clone(), None);
        let Set { images, labels } = set;
        let labels = tch::Tensor::f_from_slice(&labels)?;
        let class_names = class_names.clone();
        let set = Dataset { images, labels, agreement, classes, normalisation, scale: SCALE, origin, class_names };
        outputs = outputs.tensors(name, set.to_file()).metric(&format!("{name}_images"), set.len() as f64);
    }
    outputs = outputs.metric("classes", classes as f64);
    let scalars = normalisation::scalars(&normalisation);
    Ok(scalars.into_iter().fold(outputs, |outputs, (name, value)| outputs.metric(&name, value)))
}
