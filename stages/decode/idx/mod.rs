//! Reads a data set from a pair of IDX files. `source.rs` unpacks and counts bytes, `header.rs` says what they mean,
//! `pixels.rs`, `labels.rs` and `statistics.rs` turn them into tensors and numbers. It knows no particular data set.

mod header;
mod labels;
mod pixels;
mod source;
mod statistics;

use crate::artifact::Dataset;
use crate::common::normalise::{self, Normalise};
use crate::common::resize;
use crate::context::{Context, Inputs, Outputs};
use anyhow::{Context as _, Result, bail, ensure};
use header::{Element, IdxFile};
use serde::Deserialize;

/// How the files are to be read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    classes: i64,
    label_offset: i64,
    transpose: bool,
    resize: Option<i64>,
    normalise: Normalise,
    mean: Option<Vec<f64>>,
    std: Option<Vec<f64>>,
    scale: Option<f64>,
    origin: Option<String>,
}

/// What ddpipe's own generated files say in their gzip comment, and what `Dataset::origin` then says.
const SAMPLE_DATA: &str = "sample data";

/// Reads both files and holds them against each other. Errors name the file and the offset in its unpacked bytes.
pub fn run(ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    let image_bytes = inputs.bytes("images")?;
    let label_bytes = inputs.bytes("labels")?;
    let (image_name, label_name) = (&inputs.one("images")?.name, &inputs.one("labels")?.name);

    let images = read_images(&image_bytes).with_context(|| image_name.clone())?;
    let labels = read_labels(&label_bytes).with_context(|| label_name.clone())?;
    ctx.check()?;
    ensure!(
        images.count() == labels.count(),
        "{image_name} holds {} images, but {label_name} {} labels; the two files do not belong together",
        images.count(),
        labels.count()
    );
    let labels = labels::tensor(&labels, params.label_offset, params.classes).with_context(|| label_name.clone())?;
    let scale = params.scale.unwrap_or(if images.element.is_whole() { 255.0 } else { 1.0 });
    let mut pixels = pixels::tensor(&images).with_context(|| image_name.clone())?;
    if let Some(size) = params.resize {
        let bytes = images.element == Element::U8;
        ensure!(bytes, "{image_name}: offset 2: numbers of type {}; `resize` takes bytes only", images.element);
        pixels = resize::resize(&pixels, [size, size])?;
    }
    let other = inputs.has("normalisation") && params.mean.is_none();
    let other = other.then(|| inputs.dataset("normalisation")).transpose()?.map(|set| set.normalisation);
    let (given, channels) = ((&params.mean, &params.std), pixels.size()[1] as usize);
    let computed = || statistics::of(&images, &pixels, scale);
    let normalisation = normalise::choose(params.normalise, given, other, channels, computed)?;
    if params.transpose {
        pixels = pixels.transpose(2, 3).contiguous();
    }
    let origin = origin(&params, images.comment.as_deref(), &inputs.one("images")?.digest.short());
    let (classes, agreement) = (params.classes, None);
    let dataset = Dataset { images: pixels, labels, agreement, classes, normalisation, scale, origin };

    let outputs = Outputs::default()
        .tensors("dataset", dataset.to_file())
        .metric("images", dataset.len() as f64)
        .metric("classes", params.classes as f64);
    Ok(normalise::metrics(outputs, &dataset.normalisation))
}

fn read_images(bytes: &[u8]) -> Result<IdxFile<'_>> {
    header::read(bytes, |file| match file.axes.len() {
        3 | 4 => Ok(()),
        1 => bail!(
            "offset 3: a label file (1 axis of {} entries), where images are expected; are `images` and `labels` swapped?",
            file.axes[0]
        ),
        other => bail!("offset 3: {other} axes; images have 3 (image, row, column) or 4 (image, channel, row, column)"),
    })
}

fn read_labels(bytes: &[u8]) -> Result<IdxFile<'_>> {
    header::read(bytes, |file| match (file.axes.len(), file.element) {
        (1, Element::F32 | Element::F64) => {
            bail!("offset 2: labels of element type {}; labels are whole numbers", file.element)
        }
        (1, _) => Ok(()),
        (other, _) => {
            bail!("offset 3: {other} axes, where labels (1 axis) are expected; are `images` and `labels` swapped?")
        }
    })
}

/// The name never takes part: the same bytes have to give the same data set, whatever the file is called.
fn origin(params: &Params, comment: Option<&str>, digest: &str) -> String {
    let sample = comment.is_some_and(|comment| comment.contains(SAMPLE_DATA));
    match (&params.origin, sample) {
        (Some(origin), true) => format!("{origin} ({SAMPLE_DATA})"),
        (Some(origin), false) => origin.clone(),
        (None, true) => SAMPLE_DATA.to_string(),
        (None, false) => format!("IDX file {digest}"),
    }
}
