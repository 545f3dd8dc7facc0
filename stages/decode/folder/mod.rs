//! `decode.folder`: reads a data set from class folders of PNG and JPEG images, in a folder or a ZIP file. `layout.rs`
//! finds class and set by the path, `picture.rs` decodes one file, `sizes.rs` checks that all images have one size.

mod layout;
mod picture;
mod sizes;

use crate::artifact::{Dataset, memory};
use crate::context::{Context, Inputs, Outputs};
use crate::data;
use crate::data::images::{self, Images};
use crate::data::normalisation::moments;
use crate::data::normalisation::{self, NormalisationSpec, Normalise, WhiteningMethod};
use crate::data::problems::Problems;
use anyhow::{Context as _, Result, ensure};
use layout::{Entry, Rules, Split};
use rayon::prelude::*;
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
    normalise: Normalise,
    mean: Option<Vec<f64>>,
    std: Option<Vec<f64>>,
    whitening: WhiteningMethod,
    whitening_eps: f64,
    origin: Option<String>,
}

impl Params {
    fn normalising(&self) -> NormalisationSpec<'_> {
        let Params { normalise, mean, std, whitening, whitening_eps: eps, .. } = self;
        let (mean, std) = (mean.as_deref(), std.as_deref());
        NormalisationSpec { normalise: *normalise, mean, std, whitening: *whitening, eps: *eps, scale: SCALE }
    }
}

/// The number of images that are decoded between two checks for cancellation.
const PART: usize = 256;

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
    };
    let mut problems = Problems::default();
    let opened = images::open(inputs, "images", &mut problems)?;
    let files = opened.files.as_ref();
    let layout = layout::layout(files.names(), &rules, &mut problems);
    let entries = || layout.sets.iter().flatten();
    let made = match params.resize {
        Some(side) => [side, side],
        None => sizes::agreed(files, &entries().collect::<Vec<_>>(), name, &mut problems)?,
    };
    let sets = decoded(ctx, files, &layout.sets, &params, made, name, problems)?;
    layout.notes.iter().for_each(|note| ctx.warn(note));
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
    let mut outputs = Outputs::default().metric("classes", layout.classes.len() as f64);
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

/// The images of both sets, \[N,channels,height,width\] u8, decoded on all cores directly into the memory of the
/// tensors. All problems are returned as one error.
fn decoded(
    ctx: &Context,
    files: &dyn Images,
    sets: &[Vec<Entry>; 2],
    params: &Params,
    made: [usize; 2],
    name: &str,
    mut problems: Problems,
) -> Result<[Tensor; 2]> {
    let length = params.channels * made[0] * made[1];
    // If there are problems already, files are only checked for further problems, and no memory is allocated.
    let wanted = problems.is_empty();
    let black = |set: &Vec<Entry>| {
        let count = if wanted { set.len() } else { 0 };
        memory::black(&[count as i64, params.channels as i64, made[0] as i64, made[1] as i64])
    };
    let mut tensors = [black(&sets[0])?, black(&sets[1])?];
    let (mut done, total) = (0, sets[0].len() + sets[1].len());
    for (set, tensor) in sets.iter().zip(&mut tensors) {
        let mut planes: Vec<Option<&mut [u8]>> =
            memory::bytes_mut(tensor)?.chunks_exact_mut(length).map(Some).collect();
        planes.resize_with(set.len(), || None);
        for (entries, planes) in set.chunks(PART).zip(planes.chunks_mut(PART)) {
            let one = |(entry, planes): (&Entry, &mut Option<&mut [u8]>)| {
                let bytes = files.read(entry.position, picture::FILE_LIMIT);
                let result =
                    bytes.and_then(|file| picture::decode(&file, params.channels, made, planes.as_deref_mut()));
                result.err().map(|why| format!("{name}: {}: {why:#}", entry.name))
            };
            let wrong: Vec<String> = entries.par_iter().zip(planes.par_iter_mut()).filter_map(one).collect();
            problems.extend(wrong);
            done += entries.len();
            ctx.progress(done as u64, total as u64, "images", None);
            ctx.check()?;
        }
    }
    problems.finish()?;
    Ok(tensors)
}

/// The origin of the images: parameter `origin`, the archive's comment, or the digest of archive or folder. File names
/// do not affect it, so that the same bytes give the same data set.
fn origin(params: &Params, opened: &images::Opened) -> String {
    data::origin::origin(params.origin.as_deref(), &opened.comment, || opened.known_as.clone())
}
