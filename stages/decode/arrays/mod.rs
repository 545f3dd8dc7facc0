//! `decode.arrays`: reads a data set from named arrays into a training and a test set. `container.rs` opens the file and
//! finds the arrays, `images.rs` and `labels.rs` read them. Both sets are normalised with mean, std and whitening of the
//! training set.

mod container;
mod images;
mod labels;

use crate::artifact::Dataset;
use crate::context::{Context, Inputs, Outputs};
use crate::data::normalisation::{self, NormalisationSpec, Normalise, WhiteningMethod};
use crate::data::origin::origin;
use crate::data::resize::resize;
use crate::data::share::test_images;
use crate::data::{absent_classes, class_names};
use anyhow::{Context as _, Result, bail, ensure};
use container::{Container, Pair, Part};
use images::Images;
use labels::Numbering;
use serde::Deserialize;
use tch::{Kind, Tensor};

/// The parameters: names of the arrays, numbering of the labels, the split, and what is done with the images.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    train: Vec<String>,
    test: Vec<String>,
    test_share: f64,
    split_seed: u64,
    classes: Option<i64>,
    label_offset: i64,
    label_of_zero: Option<i64>,
    scale: Option<f64>,
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

/// Images and labels of one set.
struct Set {
    images: Images,
    labels: Vec<i64>,
}

/// Runs the stage: reads both sets. Errors name the file and the array in it.
pub fn run(ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    let input = inputs.one("train")?;
    let bytes = inputs.bytes("train")?;
    let mut file = Container::open(&bytes, params.max_ratio).with_context(|| input.name.clone())?;
    let numbering = Numbering { offset: params.label_offset, zero: params.label_of_zero };
    let pair = file.pair(&params.train, Part::Train, "train").with_context(|| input.name.clone())?;
    let train = Set::read(&mut file, &pair, &numbering).with_context(|| input.name.clone())?;
    ctx.check()?;
    let [mut train, mut test] = match inputs.has("test") {
        true => {
            let other = inputs.one("test")?;
            let bytes = inputs.bytes("test")?;
            let mut file = Container::open(&bytes, params.max_ratio).with_context(|| other.name.clone())?;
            let same = if file.has(&pair) && params.test.is_empty() {
                vec![pair.images, pair.labels]
            } else {
                params.test.clone()
            };
            let pair = file.pair(&same, Part::Test, "test").with_context(|| other.name.clone())?;
            [train, Set::read(&mut file, &pair, &numbering).with_context(|| other.name.clone())?]
        }
        false => match file.test_pair(&params.test).with_context(|| input.name.clone())? {
            Some(test) => {
                ensure!(test.images != pair.images, "{}: {:?} is both training and test set", input.name, pair.images);
                [train, Set::read(&mut file, &test, &numbering).with_context(|| input.name.clone())?]
            }
            None => {
                ctx.log(format!("no test set is there: {} of each class becomes one", params.test_share));
                train.shared(&params).with_context(|| input.name.clone())?
            }
        },
    };
    let classes =
        labels::classes([train.labels.as_slice(), &test.labels], params.classes).with_context(|| input.name.clone())?;
    if let Some(absent) =
        absent_classes(&train.labels, classes, "labels that are numbered from 1 are read with `label_offset = 1`")
    {
        ctx.warn(format!("{}: {absent}", input.name));
    }
    let agree = train.images.scale == test.images.scale && train.images.pixels.kind() == test.images.pixels.kind();
    ensure!(agree || params.scale.is_some(), "training and test images are of different types; give `scale`");
    let scale = params.scale.unwrap_or(train.images.scale);
    for set in [&mut train, &mut test] {
        ctx.check()?;
        if let Some(size) = params.resize {
            ensure!(set.images.pixels.kind() == Kind::Uint8, "`resize` takes images of bytes only (u1)");
            set.images.pixels = resize(&set.images.pixels, [size, size])?;
        }
    }
    let [one, other] = [&train, &test].map(|set| set.images.pixels.size()[1..].to_vec());
    ensure!(one == other, "training images of {one:?} channels, rows and columns, but test images of {other:?}");
    if let Some(warning) = train.images.out_of_range(scale)? {
        ctx.warn(format!("{}: {warning}", input.name));
    }
    let (mean, std) = (params.mean.as_deref(), params.std.as_deref());
    let Params { normalise, whitening, whitening_eps: eps, .. } = params;
    let rules = NormalisationSpec { normalise, mean, std, whitening, eps, scale };
    let channels = train.images.pixels.size()[1] as usize;
    let normalisation = rules.standard(channels, None, || train.images.moments())?;
    let normalisation = rules.whitened(ctx, normalisation, &train.images.pixels)?;

    let origin = origin(params.origin.as_deref(), &file.comment, || format!("file of arrays {}", input.digest.short()));
    let class_names = class_names(params.class_names.clone(), classes)?;
    let mut outputs = Outputs::default();
    for (name, set) in [("train", train), ("test", test)] {
        let (normalisation, origin, class_names) = (normalisation.clone(), origin.clone(), class_names.clone());
        let (images, labels) = (set.images.pixels, Tensor::f_from_slice(&set.labels)?);
        let set = Dataset { images, labels, agreement: None, classes, normalisation, scale, origin, class_names };
        outputs = outputs.tensors(name, set.to_file()).metric(&format!("{name}_images"), set.len() as f64);
    }
    outputs = outputs.metric("classes", classes as f64);
    let scalars = normalisation::scalars(&normalisation);
    Ok(scalars.into_iter().fold(outputs, |outputs, (name, value)| outputs.metric(&name, value)))
}

impl Set {
    fn read(file: &mut Container, pair: &Pair, numbering: &Numbering) -> Result<Self> {
        let labels = file.array(&pair.labels)?;
        let labels = labels::read(&labels, numbering).with_context(|| pair.labels.clone())?;
        let images = file.array(&pair.images)?;
        let images = Images::read(&images, labels.len()).with_context(|| pair.images.clone())?;
        Ok(Set { images, labels })
    }

    /// The set divided into training and test set, by a share of each class.
    fn shared(self, params: &Params) -> Result<[Self; 2]> {
        let classes = labels::classes([self.labels.as_slice(), &[]], params.classes)?;
        let mut is_test = vec![false; self.labels.len()];
        for class in 0..classes {
            let of_class: Vec<usize> = (0..self.labels.len()).filter(|&image| self.labels[image] == class).collect();
            if of_class.len() == 1 {
                bail!("class {class} has a single image, which cannot be shared out");
            }
            let chosen = test_images(of_class.len(), params.test_share, params.split_seed, &class.to_string());
            for position in chosen.into_iter().filter_map(|position| of_class.get(position as usize)) {
                is_test[*position] = true;
            }
        }
        let part = |test: bool| -> Result<Set> {
            let positions: Vec<i64> =
                (0..is_test.len()).filter(|&image| is_test[image] == test).map(|image| image as i64).collect();
            let pixels = self.images.pixels.f_index_select(0, &Tensor::f_from_slice(&positions)?)?;
            let labels = positions.iter().map(|&image| self.labels[image as usize]).collect();
            Ok(Set { images: Images { pixels, scale: self.images.scale }, labels })
        };
        Ok([part(false)?, part(true)?])
    }
}
