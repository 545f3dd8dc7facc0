//! The initial images and learnt labels: real images that experts classify correctly, or the images of the set to start
//! from, and the logits that experts give them. The computations are in `correct_images.rs` and `initial_labels.rs`;
//! this file reads the inputs and draws the order of candidates.

use super::{LabelSums, Labels, Learnt, correct_images};
use crate::artifact::{Dataset, SyntheticSet};
use crate::context::{Context, Inputs};
use crate::training::Experts;
use anyhow::{Context as _, Result, ensure};
use ddpipe_nn::pieces::Graph;
use ddpipe_nn::stream::stream;
use serde::Deserialize;
use tch::{Kind, Tensor};

/// The source of the first images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InitialImages {
    /// Real images that an expert classifies correctly.
    Right,
    /// The images of the set to start from.
    Start,
}

/// The settings from which a synthetic set with learnt labels is initialised.
#[derive(Clone, Copy, Debug)]
pub struct Initial {
    /// The source of its images.
    pub images: InitialImages,
    /// The epoch of the experts whose parameters give labels and images; their last one for `None`.
    pub label_epoch: Option<u64>,
    /// The initial learning rate of the students.
    pub lr: f64,
}

impl Initial {
    /// The initial images, label logits and learning rate. Real images are those of the input `real`; draws come from
    /// `stream(seed, "choice", class)`. An error if `label_epoch` is beyond the trajectories, or if the sets do not fit
    /// each other.
    pub fn learnt(&self, ctx: &Context, inputs: &Inputs, start: &SyntheticSet, experts: &Experts) -> Result<Learnt> {
        let epoch = self.label_epoch.unwrap_or(experts.epochs);
        ensure!(
            epoch <= experts.epochs,
            "label_epoch {epoch}, but the experts were trained for {} epochs",
            experts.epochs
        );
        ensure!(
            start.ipc > 0 && start.images.size()[0] == start.classes * start.ipc,
            "{} images are not {} of each of {} classes, so their places do not say their class",
            start.images.size()[0],
            start.ipc,
            start.classes
        );
        let images = match self.images {
            InitialImages::Start => start.images.copy(),
            InitialImages::Right => {
                ensure!(
                    inputs.has("real"),
                    "images that experts are right about come from real ones; connect input \"real\", or set images = \
                     \"start\""
                );
                chosen(ctx, &inputs.dataset("real")?, start, experts, epoch)?
            }
        };
        let classes_K = Tensor::f_arange(start.classes, (Kind::Int64, ctx.device))?;
        let labels_M = classes_K.f_repeat_interleave_self_int(start.ipc, 0, None)?;
        let mut sums = LabelSums::new(&labels_M, start.classes)?;
        for expert in 0..experts.count() {
            ctx.check()?;
            let parameters = experts.parameters(expert, epoch, ctx.device)?;
            let chunk = experts.network().chunk(ctx.device, Graph::Without);
            sums.add(&experts.network().forward_chunked(&parameters, &images, chunk)?)?;
        }
        let none = i64::try_from(sums.right().f_eq(0)?.f_sum(Kind::Int64)?)?;
        if none > 0 {
            ctx.log(format!("no expert is right about {none} of {} images", labels_M.numel()));
        }
        Ok(Learnt {
            images_MCHW: images,
            labels: Labels::Logits(sums.logits()?),
            lr: Tensor::from(self.lr as f32).to_device(ctx.device),
        })
    }
}

/// \[M,C,H,W\]: for every class `ipc` real images that an expert classifies correctly, visited in random order. If
/// there are too few, other images of the class fill up the rest, with a warning.
fn chosen(ctx: &Context, real: &Dataset, start: &SyntheticSet, experts: &Experts, epoch: u64) -> Result<Tensor> {
    ensure!(
        real.image_shape()[..] == start.images.size()[1..] && real.classes == start.classes,
        "the real images are {:?} in {} classes and the synthetic ones {:?} in {}; start from a set made of the same \
         data",
        real.image_shape(),
        real.classes,
        &start.images.size()[1..],
        start.classes
    );
    let mut images = Vec::new();
    for (class, positions) in real.positions_by_class()?.iter().enumerate() {
        ctx.check()?;
        let ipc = start.ipc as usize;
        ensure!(
            positions.len() >= ipc,
            "class {class} has {} real images, fewer than the {ipc} of the set to start from",
            positions.len()
        );
        let order = stream(ctx.seed, "choice", class as u64).choose(positions, positions.len());
        let at = |places: &[i64]| -> Result<Tensor> {
            let places = places.iter().map(|&place| order.get(place as usize).copied()).collect::<Option<Vec<_>>>();
            Ok(real.floats_at(&Tensor::from_slice(&places.context("a candidate that there is not")?)))
        };
        let mut taken = correct_images::correct_images(
            experts.network(),
            class as i64,
            (ipc, order.len() as i64, correct_images::BATCH),
            &|places| at(&Vec::<i64>::try_from(places)?),
            &|expert| (expert < experts.count()).then(|| experts.parameters(expert, epoch, ctx.device)),
            ctx.device,
        )?;
        if taken.len() < ipc {
            ctx.warn(format!(
                "the experts are right about {} images of class {class} only; the other {} are any",
                taken.len(),
                ipc - taken.len()
            ));
            let others = (0..order.len() as i64).filter(|place| !taken.contains(place));
            let others: Vec<i64> = others.take(ipc - taken.len()).collect();
            taken.extend(others);
        }
        images.push(at(&taken)?);
    }
    Ok(Tensor::f_cat(&images, 0)?)
}
