//! `decode.idx`: reads a data set from a pair of IDX files, or from ZIP files of them (`member.rs`). `source.rs` unpacks, `header.rs` reads the header,
//! `pixels.rs`, `labels.rs` and `statistics.rs` make tensors and statistics. Any data set in this format can be read.

mod header;
mod labels;
mod member;
mod pixels;
mod source;
mod statistics;

use crate::artifact::{Dataset, Normalisation};
use crate::context::{Context, Inputs, Outputs};
use crate::data;
use crate::data::normalisation::{self, NormalisationSpec, Normalise, WhiteningMethod};
use crate::data::resize;
use crate::data::unpacking::Unpacking;
use anyhow::{Context as _, Result, bail, ensure};
use header::{Element, IdxFile};
use serde::Deserialize;

/// The parameters: numbering of the labels, size and orientation of the images, and their normalisation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    classes: i64,
    label_offset: i64,
    label_column: Option<usize>,
    image_file: Option<String>,
    label_file: Option<String>,
    transpose: bool,
    resize: Option<i64>,
    normalise: Normalise,
    mean: Option<Vec<f64>>,
    std: Option<Vec<f64>>,
    whitening: WhiteningMethod,
    whitening_eps: f64,
    scale: Option<f64>,
    origin: Option<String>,
    class_names: Option<Vec<String>>,
    max_ratio: u64,
}

/// Runs the stage: reads both files and checks them against each other. Errors name the file and the offset in its
/// unpacked bytes.
pub fn run(ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    let (image_name, image_bytes) = member::bytes(inputs, "images", params.image_file.as_deref(), params.max_ratio)?;
    let (label_name, label_bytes) = member::bytes(inputs, "labels", params.label_file.as_deref(), params.max_ratio)?;
    let (image_name, label_name) = (&image_name, &label_name);

    let images = read_images(&image_bytes, params.max_ratio).with_context(|| image_name.clone())?;
    let labels = read_labels(&label_bytes, &params).with_context(|| label_name.clone())?;
    ctx.check()?;
    ensure!(
        images.count() == labels.count(),
        "{image_name} holds {} images, but {label_name} {} labels; the two files do not belong together",
        images.count(),
        labels.count()
    );
    let column = params.label_column.unwrap_or(0);
    let labels =
        labels::tensor(&labels, column, params.label_offset, params.classes).with_context(|| label_name.clone())?;
    let from_1 = "labels that are numbered from 1 are read with `label_offset = 1`";
    if let Some(absent) = data::absent_classes(&Vec::<i64>::try_from(&labels)?, params.classes, from_1) {
        ctx.warn(format!("{label_name}: {absent}"));
    }
    let scale = params.scale.unwrap_or(if images.element.is_whole() { 255.0 } else { 1.0 });
    let mut pixels = pixels::tensor(&images).with_context(|| image_name.clone())?;
    if let Some(size) = params.resize {
        let bytes = images.element == Element::U8;
        ensure!(bytes, "{image_name}: offset 2: numbers of type {}; `resize` takes bytes only", images.element);
        pixels = resize::resize(&pixels, [size, size])?;
    }
    let standard = normalisation(inputs, &params, &images, &pixels, scale)?;
    if params.transpose {
        pixels = pixels.transpose(2, 3).contiguous();
    }
    let normalisation = match standard.whitening {
        None => params.rules(scale).whitened(ctx, standard, &pixels)?,
        Some(_) => standard,
    };
    let origin = origin(&params, images.comment.as_deref(), &inputs.one("images")?.digest.short());
    let (classes, agreement) = (params.classes, None);
    let class_names = data::class_names(params.class_names.clone(), classes)?;
    let dataset = Dataset { images: pixels, labels, agreement, classes, normalisation, scale, origin, class_names };

    let outputs = Outputs::default()
        .tensors("dataset", dataset.to_file())
        .metric("images", dataset.len() as f64)
        .metric("classes", params.classes as f64);
    let scalars = normalisation::scalars(&dataset.normalisation);
    Ok(scalars.into_iter().fold(outputs, |outputs, (name, value)| outputs.metric(&name, value)))
}

fn read_images(bytes: &[u8], max_ratio: u64) -> Result<IdxFile<'_>> {
    header::read(bytes, Unpacking::of(bytes, max_ratio), |file| match file.axes.len() {
        3 | 4 => Ok(()),
        1 => bail!(
            "offset 3: a label file (1 axis of {} entries), where images are expected; are `images` and `labels` swapped?",
            file.axes[0]
        ),
        other => bail!("offset 3: {other} axes; images have 3 (image, row, column) or 4 (image, channel, row, column)"),
    })
}

fn read_labels<'a>(bytes: &'a [u8], params: &Params) -> Result<IdxFile<'a>> {
    header::read(bytes, Unpacking::of(bytes, params.max_ratio), |file| match (file.axes.len(), file.element) {
        (1 | 2, Element::F32 | Element::F64) => {
            bail!("offset 2: labels of element type {}; labels are whole numbers", file.element)
        }
        (1, _) => Ok(()),
        (2, _) => match (file.axes.get(1).copied().unwrap_or(0), params.label_column) {
            (1, None) => Ok(()),
            (width, Some(column)) if column < width => Ok(()),
            (width, Some(column)) => {
                bail!("offset 8: rows of {width} numbers have no column {column} (`label_column`)")
            }
            (width, None) => {
                bail!("offset 3: {width} numbers per image; `label_column` says which is the label (QMNIST: 0)")
            }
        },
        (other, _) => {
            bail!("offset 3: {other} axes, where labels (1 axis) are expected; are `images` and `labels` swapped?")
        }
    })
}

impl Params {
    fn rules(&self, scale: f64) -> NormalisationSpec<'_> {
        let Params { normalise, mean, std, whitening, whitening_eps: eps, .. } = self;
        let (mean, std) = (mean.as_deref(), std.as_deref());
        NormalisationSpec { normalise: *normalise, mean, std, whitening: *whitening, eps: *eps, scale }
    }
}

/// The normalisation by parameters, by the input `normalisation`, or computed from the images; it has a whitening only
/// where it is taken over from that input.
fn normalisation(
    inputs: &Inputs,
    params: &Params,
    file: &IdxFile,
    pixels: &tch::Tensor,
    scale: f64,
) -> Result<Normalisation> {
    let taken = if inputs.has("normalisation") { Some(inputs.dataset("normalisation")?.normalisation) } else { None };
    params.rules(scale).agrees_with(taken.as_ref())?;
    let found = params.rules(scale).standard(pixels.size()[1] as usize, taken, || statistics::of(file, pixels))?;
    if let Some(whitening) = &found.whitening {
        let mut image = pixels.size()[1..].to_vec();
        if params.transpose {
            image.swap(1, 2);
        }
        whitening.fits(&image).context("input \"normalisation\"")?;
    }
    Ok(found)
}

/// The origin of the images: parameter `origin`, the gzip comment, or the digest of the file. File names do not affect
/// it, so that the same bytes give the same data set.
fn origin(params: &Params, comment: Option<&str>, digest: &str) -> String {
    data::origin::origin(params.origin.as_deref(), comment.unwrap_or_default(), || format!("IDX file {digest}"))
}
