//! `distill.datm`: trajectory matching with difficulty in step with the size of the set, and with labels that are learnt.
//! Reads, loops, writes; the equations are in `common::trajectory`, `range.rs`, `choice.rs` and `labels.rs`.

#![expect(non_snake_case, reason = "tensors carry their shape in their names; labels.rs has the legend")]

pub mod choice;
pub mod labels;
pub mod range;

use crate::artifact::{Dataset, SyntheticSet};
use crate::common::augment::Strategy;
use crate::common::network::Chunk;
use crate::common::stream::stream;
use crate::common::trajectory::{
    Descent, Experts, GradientForm, Inner, InnerAugment, Labels, Learnt, Pace, Rates, Unrolling,
};
use crate::context::{Context, Inputs, Outputs};
use anyhow::{Context as _, Result, ensure};
use range::StartRange;
use serde::Deserialize;
use tch::{Kind, Tensor};

/// The parameters, as `stage.toml` declares them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "stage.toml documents them")]
pub struct Params {
    pub iterations: u64,
    pub syn_steps: u64,
    pub expert_epochs: u64,
    pub min_start_epoch: u64,
    pub current_max_start_epoch: u64,
    pub max_start_epoch: u64,
    pub expansion_end: u64,
    pub sequential: bool,
    pub images: Images,
    pub label_epoch: Option<u64>,
    pub batch_syn: Option<i64>,
    pub lr_img: f64,
    pub momentum_img: f64,
    pub lr_teacher: f64,
    pub lr_lr: f64,
    pub momentum_lr: f64,
    pub lr_y: f64,
    pub momentum_y: f64,
    pub augment: InnerAugment,
    pub strategy: Strategy,
    pub gradient: GradientForm,
    pub threshold: f64,
}

/// Where the first images come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Images {
    /// Real ones that an expert classifies rightly.
    Right,
    /// The set to start from.
    Start,
}

/// Runs the stage.
pub fn run(ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    let start = inputs.synthetic("start")?;
    let experts = Experts::open(inputs, "experts")?;
    experts.fit(&start)?;
    let range = params.range()?;
    experts.reach(range.max, params.expert_epochs)?;
    let inner = Inner::new(params.syn_steps, params.batch_syn, params.augment, &params.strategy);
    let pace = Pace {
        iterations: params.iterations,
        images: Rates { lr: params.lr_img, momentum: params.momentum_img },
        lr: Rates { lr: params.lr_lr, momentum: params.momentum_lr },
        logits: Rates { lr: params.lr_y, momentum: params.momentum_y },
        threshold: Some(params.threshold),
    };
    let mut descent = match ctx.resume() {
        Some(checkpoint) => Descent::resumed(ctx, &start, &checkpoint, pace)?,
        None => Descent::new(ctx, &start, first(ctx, inputs, &start, &experts, &params)?, pace)?,
    };
    while let Some(iteration) = descent.next() {
        let stretch = experts.stretch(ctx.seed, iteration, range.at(iteration), params.expert_epochs, ctx.device)?;
        let steps = inner.draw(ctx.seed, iteration, &start.images.size(), ctx.device);
        let unrolling = Unrolling {
            network: experts.network(),
            start_P: &stretch.start_P,
            target_P: &stretch.target_P,
            steps: &steps,
            settings: &inner.settings,
        };
        let matched = unrolling.matched(descent.learnt(), params.gradient)?;
        descent.descend(&matched)?;
    }
    descent.outputs()
}

impl Params {
    fn range(&self) -> Result<StartRange> {
        let range = StartRange {
            min: self.min_start_epoch,
            current_max: self.current_max_start_epoch,
            max: self.max_start_epoch,
            expansion_end: self.expansion_end,
            sequential: self.sequential,
        };
        let first = range.at(0);
        ensure!(
            first.start < first.end,
            "there is no start epoch from {} to below {}; raise current_max_start_epoch and max_start_epoch, or lower \
             min_start_epoch",
            first.start,
            first.end
        );
        Ok(range)
    }
}

/// The first images and labels.
fn first(ctx: &Context, inputs: &Inputs, start: &SyntheticSet, experts: &Experts, params: &Params) -> Result<Learnt> {
    let epoch = params.label_epoch.unwrap_or(experts.epochs);
    ensure!(epoch <= experts.epochs, "label_epoch {epoch}, but the experts were trained for {} epochs", experts.epochs);
    ensure!(
        start.ipc > 0 && start.images.size()[0] == start.classes * start.ipc,
        "{} images are not {} of each of {} classes, so their places do not say their class",
        start.images.size()[0],
        start.ipc,
        start.classes
    );
    let images = match params.images {
        Images::Start => start.images.copy(),
        Images::Right => {
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
    let mut sums = labels::LabelSums::new(&labels_M, start.classes)?;
    for expert in 0..experts.count() {
        ctx.check()?;
        let parameters = experts.parameters(expert, epoch, ctx.device)?;
        sums.add(&experts.network().forward_chunked(&parameters, &images, Chunk::inference(ctx.device))?)?;
    }
    let none = i64::try_from(sums.right().f_eq(0)?.f_sum(Kind::Int64)?)?;
    if none > 0 {
        ctx.log(format!("no expert is right about {none} of {} images", labels_M.numel()));
    }
    Ok(Learnt {
        images_MCHW: images,
        labels: Labels::Logits(sums.logits()?),
        lr: Tensor::from(params.lr_teacher as f32).to_device(ctx.device),
    })
}

/// \[M,C,H,W\]: of every class, images that an expert is right about, looked for in random order.
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
        let mut taken = choice::right(
            experts.network(),
            class as i64,
            (ipc, order.len() as i64, choice::BATCH),
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
