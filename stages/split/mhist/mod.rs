//! `split.mhist`: reads MHIST, a table of annotations and a ZIP file or a folder of images, and splits it into a
//! training and a test set by the table. `annotations.rs` reads the table, `picture.rs` one image, `matched.rs` finds
//! the file of each row, `sets.rs` makes the sets.

mod annotations;
mod matched;
mod picture;
mod sets;

pub use crate::data::images::Images;
pub use crate::data::problems::Problems;
pub use sets::{Rules, Set, Split, split};

use crate::artifact::{Dataset, memory};
use crate::context::{Context, Inputs, Outputs};
use crate::data;
use crate::data::images;
use crate::data::normalisation::moments;
use crate::data::normalisation::{self, NormalisationSpec, Normalise, WhiteningMethod};
use annotations::{CLASSES, PARTITIONS};
use anyhow::Result;
use serde::Deserialize;

/// The parameters: size and number of the images, which of them are kept, and their normalisation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    size: usize,
    resize: Option<usize>,
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

/// The number by which a byte is divided to lie in \[0,1\].
const SCALE: f64 = 255.0;

/// Runs the stage: reads table and images, checks them against each other, and writes both sets. One error lists all
/// problems, each with its file and row.
pub fn run(ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    let table = inputs.bytes("annotations")?;
    let rules = Rules {
        annotations: &inputs.one("annotations")?.name,
        images: &inputs.one("images")?.name,
        size: params.size,
        resize: params.resize,
        mhist: params.expect == Expect::Mhist,
        min_agreement: params.min_agreement.unwrap_or(0),
    };
    let mut problems = Problems::default();
    let opened = images::open(inputs, "images", &mut problems)?;
    let split = sets::split(&table, opened.files.as_ref(), &rules, problems, |done, total| {
        ctx.progress(done as u64, total as u64, "images", None);
        ctx.check()
    })?;
    if !split.contradictions.is_empty() {
        ctx.warn(format!("the label counts, not the votes, where they differ:\n{}", split.contradictions.text()));
    }
    if !opened.note.is_empty() {
        ctx.warn(&opened.note);
    }
    let origin = origin(&params, opened);

    let sets = split.sets;
    let (channels, side) = (picture::CHANNELS, rules.made());
    let over_training = || Ok(moments::of_bytes(memory::bytes(&sets[0].images)?, channels, side * side));
    let (mean, std) = (params.mean.as_deref(), params.std.as_deref());
    let rules = NormalisationSpec {
        normalise: params.normalise,
        mean,
        std,
        whitening: WhiteningMethod::None,
        eps: 0.0,
        scale: SCALE,
    };
    let normalisation = rules.standard(channels, None, over_training)?;
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
            class_names: CLASSES.map(String::from).to_vec(),
        };
        let ssa = dataset.labels.f_sum(tch::Kind::Double)?.double_value(&[]);
        outputs = outputs
            .tensors(partition, dataset.to_file())
            .metric(&format!("{partition}_images"), dataset.len() as f64)
            .metric(&format!("{partition}_ssa"), ssa);
    }
    let scalars = normalisation::scalars(&normalisation);
    Ok(scalars.into_iter().fold(outputs, |outputs, (name, value)| outputs.metric(&name, value)))
}

/// The origin of the images: parameter `origin`, the archive's comment or MHIST. File names do not affect it, so that
/// the same bytes give the same data set.
fn origin(params: &Params, opened: images::Opened) -> String {
    data::origin::origin(params.origin.as_deref(), &opened.comment, || match params.expect {
        Expect::Mhist => "MHIST".to_string(),
        _ => opened.known_as.clone(),
    })
}
