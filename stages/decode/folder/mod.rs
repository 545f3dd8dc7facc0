//! `decode.folder`: reads a data set of PNG and JPEG images, in class folders or named by a table, from a folder or a ZIP
//! file. `layout.rs` finds class and set, `decoding.rs` decodes all files, `picture.rs` one, `sizes.rs` checks that all images have one size.

mod decoding;
mod endings;
mod labelled;
mod layout;
mod picture;
mod places;
mod sizes;

use crate::artifact::{Dataset, memory};
use crate::context::{Context, Inputs, Outputs};
use crate::data;
use crate::data::images;
use crate::data::normalisation::moments;
use crate::data::normalisation::{self, NormalisationSpec, Normalise, WhiteningMethod};
use crate::data::problems::Problems;
use anyhow::{Context as _, Result, ensure};
use labelled::Columns;
use layout::{Rules, Split};
use picture::Reading;
use serde::Deserialize;
use tch::Tensor;

/// The parameters: size and channels of the images, the split into training and test images, and the normalisation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    resize: Option<usize>,
    channels: usize,
    split: Split,
    train: String,
    test: String,
    test_share: f64,
    split_seed: u64,
    name_column: String,
    label_column: String,
    split_column: Option<String>,
    max_passed_over: f64,
    jpeg_end: JpegEnd,
    white: Option<u16>,
    orientation: Orientation,
    normalise: Normalise,
    mean: Option<Vec<f64>>,
    std: Option<Vec<f64>>,
    whitening: WhiteningMethod,
    whitening_eps: f64,
    origin: Option<String>,
}

/// Whether a JPEG file has to have its end marker.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum JpegEnd {
    Required,
    Optional,
}

/// Whether pictures are turned as their EXIF data say.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Orientation {
    Stored,
    Exif,
}

impl Params {
    fn reading(&self) -> Reading {
        Reading {
            channels: self.channels,
            whole: self.jpeg_end == JpegEnd::Required,
            white: self.white,
            upright: self.orientation == Orientation::Exif,
        }
    }

    fn columns<'a>(&'a self, file: &'a str) -> Columns<'a> {
        Columns { file, name: &self.name_column, label: &self.label_column, split: self.split_column.as_deref() }
    }

    fn normalising(&self) -> NormalisationSpec<'_> {
        let Params { normalise, mean, std, whitening, whitening_eps: eps, .. } = self;
        let (mean, std) = (mean.as_deref(), std.as_deref());
        NormalisationSpec { normalise: *normalise, mean, std, whitening: *whitening, eps: *eps, scale: SCALE }
    }
}

/// The number by which a byte is divided to lie in \[0,1\].
const SCALE: f64 = 255.0;

/// Runs the stage: reads all images. One error lists all problems, each with its file.
pub fn run(ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    ensure!(
        [1, 3].contains(&params.channels),
        "`channels` is 1 (grey) or 3 (red, green, blue), not {}",
        params.channels
    );
    ensure!(params.train != params.test, "`train` and `test` name the same folder, {:?}", params.train);
    let name = &inputs.one("images")?.name;
    let rules = Rules {
        images: name,
        split: params.split,
        folders: [&params.train, &params.test],
        share: params.test_share,
        seed: params.split_seed,
        max_passed_over: params.max_passed_over,
    };
    let mut problems = Problems::default();
    let opened = images::open(inputs, "images", &mut problems)?;
    let files = opened.files.as_ref();
    let table = if inputs.has("labels") { Some(inputs.bytes("labels")?) } else { None };
    let columns = || anyhow::Ok(params.columns(&inputs.one("labels")?.name));
    let table = table.as_ref().map(|table| anyhow::Ok((table.as_slice(), columns()?))).transpose()?;
    let layout = layout::layout(files, table, &rules, &mut problems)?;
    let entries = || layout.sets.iter().flatten();
    let reading = params.reading();
    let made = match params.resize {
        Some(side) => [side, side],
        None => sizes::agreed(files, &entries().collect::<Vec<_>>(), name, reading.upright, &mut problems)?,
    };
    let wanted = decoding::Wanted { reading, made, images: name };
    let (sets, found) = decoding::decoded(ctx, files, &layout.sets, &wanted, problems)?;
    let notes = layout.notes.into_iter().chain(found.notes(&wanted)).chain([opened.note.clone()]);
    notes.filter(|note| !note.is_empty()).for_each(|note| ctx.warn(note));
    ctx.log(format!("classes, from 0: {}", layout.classes.join(", ")));

    let [height, width] = made;
    let taken = if inputs.has("normalisation") { Some(inputs.dataset("normalisation")?.normalisation) } else { None };
    let rules = params.normalising();
    rules.agrees_with(taken.as_ref())?;
    let computed = || Ok(moments::of_bytes(memory::bytes(&sets[0])?, params.channels, height * width));
    let found = rules.standard(params.channels, taken, computed)?;
    let normalisation = match &found.whitening {
        Some(whitening) => {
            let image = [params.channels, height, width].map(|side| side as i64);
            whitening.fits(&image).context("input \"normalisation\"")?;
            found
        }
        None => rules.whitened(ctx, found, &sets[0])?,
    };
    let origin = origin(&params, &opened);
    let mut outputs = Outputs::default()
        .metric("classes", layout.classes.len() as f64)
        .metric("passed_over", layout.passed_over as f64);
    for ((partition, images), entries) in ["train", "test"].into_iter().zip(sets).zip(&layout.sets) {
        let labels: Vec<i64> = entries.iter().map(|entry| entry.label).collect();
        let dataset = Dataset {
            images,
            labels: Tensor::from_slice(&labels),
            agreement: None,
            classes: layout.classes.len() as i64,
            normalisation: normalisation.clone(),
            scale: SCALE,
            origin: origin.clone(),
            class_names: layout.classes.clone(),
        };
        let count = dataset.len() as f64;
        outputs = outputs.tensors(partition, dataset.to_file()).metric(&format!("{partition}_images"), count);
    }
    let scalars = normalisation::scalars(&normalisation);
    Ok(scalars.into_iter().fold(outputs, |outputs, (name, value)| outputs.metric(&name, value)))
}

/// The origin of the images: parameter `origin`, the archive's comment, or the digest of archive or folder. File names
/// do not affect it, so that the same bytes give the same data set.
fn origin(params: &Params, opened: &images::Opened) -> String {
    data::origin::origin(params.origin.as_deref(), &opened.comment, || opened.known_as.clone())
}
