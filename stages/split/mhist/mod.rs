//! Reads MHIST: a table of annotations and a ZIP file of images, split into a training and a test set as the table
//! says. `annotations.rs` reads the table, `archive.rs` the ZIP file, `images.rs` one picture, `sets.rs` brings them
//! together, `problems.rs` gathers what is wrong. It knows no network and no method.

mod annotations;
mod archive;
mod images;
mod problems;
mod sets;

pub use images::Images;
pub use problems::Problems;
pub use sets::{Rules, Set, Split, split};

use crate::artifact::{Dataset, Normalisation};
use crate::common::moments;
use crate::context::{Context, Inputs, Outputs};
use annotations::{CLASSES, PARTITIONS};
use anyhow::{Result, bail, ensure};
use archive::Archive;
use serde::Deserialize;

/// What is expected of the files.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    size: usize,
    expect: Expect,
    min_agreement: Option<i64>,
    normalise: Normalise,
    mean: Option<Vec<f64>>,
    std: Option<Vec<f64>>,
    origin: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Expect {
    Mhist,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Normalise {
    Computed,
    Given,
    None,
}

/// What ddpipe's own generated files say in their comment, and what `Dataset::origin` then says.
const SAMPLE_DATA: &str = "sample data";

/// What a byte is divided by to lie in \[0,1\].
const SCALE: f64 = 255.0;

/// Reads both files and holds them against each other. One error lists all that is wrong, each with its file and row.
pub fn run(ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    let (table, zip) = (inputs.bytes("annotations")?, inputs.bytes("images")?);
    let rules = Rules {
        annotations: &inputs.one("annotations")?.name,
        images: &inputs.one("images")?.name,
        size: params.size,
        mhist: params.expect == Expect::Mhist,
        min_agreement: params.min_agreement.unwrap_or(0),
    };
    let mut problems = Problems::default();
    let archive = Archive::open(&zip, rules.images, &mut problems)?;
    let split = sets::split(&table, &archive, &rules, problems, |done, total| {
        ctx.progress(done as u64, total as u64, "images", None);
        ctx.check()
    })?;
    if !split.contradictions.is_empty() {
        ctx.warn(format!("the label counts, not the votes, where they differ:\n{}", split.contradictions.text()));
    }
    let origin = origin(&params, &archive.comment, &inputs.one("images")?.digest.short());

    let mut sets = split.sets;
    let normalisation = normalisation(&params, &mut sets[0])?;
    let mut outputs = Outputs::default();
    for (partition, set) in PARTITIONS.iter().zip(sets) {
        let dataset = Dataset {
            images: set.images,
            labels: set.labels,
            agreement: Some(set.votes),
            classes: CLASSES.len() as i64,
            normalisation: normalisation.clone(),
            scale: SCALE,
            origin: origin.clone(),
        };
        let ssa = dataset.labels.f_sum(tch::Kind::Double)?.double_value(&[]);
        outputs = outputs
            .tensors(partition, dataset.to_file())
            .metric(&format!("{partition}_images"), dataset.len() as f64)
            .metric(&format!("{partition}_ssa"), ssa);
    }
    for (channel, (&mean, &std)) in normalisation.mean.iter().zip(&normalisation.std).enumerate() {
        let name = |what: &str| if channel == 0 { what.to_string() } else { format!("{what}_{channel}") };
        outputs = outputs.metric(&name("mean"), mean).metric(&name("std"), std);
    }
    Ok(outputs)
}

/// `mean` and `std` first, then what `normalise` says; the training set alone is looked at.
fn normalisation(params: &Params, train: &mut Set) -> Result<Normalisation> {
    let channels = images::CHANNELS;
    let found = match (&params.mean, &params.std) {
        (Some(mean), Some(std)) => Normalisation::new(mean.clone(), std.clone()),
        (None, None) if params.normalise == Normalise::Given => {
            bail!("`normalise = \"given\"` needs parameters `mean` and `std`")
        }
        (None, None) if params.normalise == Normalise::None => Normalisation::identity(channels),
        (None, None) => {
            let moments = moments::of_bytes(sets::bytes(train), channels, params.size * params.size);
            ensure!(
                moments.iter().all(|&(_, variance)| variance > 0.0),
                "all pixels of a channel are the same, so there is no std to divide by; give `mean` and `std`, or \
                 `normalise = \"none\"`"
            );
            let mean = moments.iter().map(|(mean, _)| mean / SCALE).collect();
            Normalisation::new(mean, moments.iter().map(|(_, variance)| variance.sqrt() / SCALE).collect())
        }
        _ => bail!("parameters `mean` and `std` go together: give both, or neither"),
    };
    ensure!(
        found.mean.len() == channels && found.std.len() == channels,
        "the images have {channels} channels, but there are {} means and {} stds; give one per channel",
        found.mean.len(),
        found.std.len()
    );
    Ok(found)
}

/// The name never takes part: the same bytes have to give the same data set, whatever the file is called.
fn origin(params: &Params, comment: &str, digest: &str) -> String {
    let sample = comment.contains(SAMPLE_DATA);
    match (&params.origin, sample) {
        (Some(origin), true) => format!("{origin} ({SAMPLE_DATA})"),
        (Some(origin), false) => origin.clone(),
        (None, true) => SAMPLE_DATA.to_string(),
        (None, false) if params.expect == Expect::Mhist => "MHIST".to_string(),
        (None, false) => format!("ZIP file {digest}"),
    }
}
