//! The loop of methods that compare what random networks see, on average, in the real and in the synthetic images of each
//! class: one network after the other, each for some steps of the images. Reads, loops, writes. What is seen, and how it
//! is compared, is the method's [`Features`].

use super::{ClassAugmentation, ClassImages, Descent, Rates, RealImages, Redraw, class_groups, graph_chunk};
use crate::common::augment::DsaParams;
use crate::common::network::{Chunk, Network, NetworkParams, Parameters};
use crate::common::stream::stream;
use crate::context::{Context, Inputs, Outputs};
use anyhow::{Context as _, Result};
use serde::Deserialize;
use std::ops::Range;
use tch::{TchError, Tensor};

/// What a method sees in images.
pub trait Features {
    /// What it keeps of the real images.
    type Real;

    /// What it sees in real images under their augmentation; called without a graph.
    fn of_real(
        &self,
        network: &Network,
        parameters: &Parameters,
        images: &ClassImages,
        chunk: Chunk,
    ) -> Result<Self::Real, TchError>;

    /// How far what it sees in synthetic images under their augmentation is from that: a scalar without a graph, and its
    /// gradient with respect to the images.
    fn compare(
        &self,
        network: &Network,
        parameters: &Parameters,
        real: &Self::Real,
        synthetic: &ClassImages,
        augmentation: &ClassAugmentation,
        chunk: Chunk,
    ) -> Result<(Tensor, Tensor), TchError>;
}

/// The parameters of the loop. Part of a kind's `Params`, by `#[serde(flatten)]`.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "each is the parameter of the same name in stage.toml, which has the help")]
pub struct FeatureMatching {
    pub networks: u64,
    pub steps_per_network: u64,
    pub lr_img: f64,
    pub momentum_img: f64,
    pub batch_real: i64,
    pub redraw: Redraw,
    pub chunk: Option<i64>,
}

/// What the synthetic images are compared with in a step.
struct Target<R> {
    network: u64,
    draw: u64,
    parameters: Parameters,
    augmentation: ClassAugmentation,
    real: R,
}

impl FeatureMatching {
    /// Runs a stage with the inputs `real` and `start` and the outputs of [`Descent`].
    pub fn run<F: Features>(
        &self,
        ctx: &Context,
        inputs: &Inputs,
        augment: &DsaParams,
        network: &NetworkParams,
        features: &F,
    ) -> Result<Outputs> {
        let (dataset, start) = (inputs.dataset("real")?, inputs.start()?);
        let real = RealImages::new(&dataset, &start)?;
        let [_, height, width] = dataset.image_shape();
        let network = network.network(dataset.image_shape(), dataset.classes)?;
        let chunk = |usual| self.chunk.map_or(usual, Chunk);
        let (chunk, chunk_with_graph) = (chunk(Chunk::inference(ctx.device)), chunk(graph_chunk(ctx.device)));

        let make_target = |number: u64, draw: u64| -> Result<Target<F::Real>> {
            let parameters = network.init(stream(ctx.seed, "network", number).generator(), ctx.device)?;
            let augmentation =
                ClassAugmentation::draw(augment.strategy(), dataset.classes, [height, width], ctx.seed, draw);
            let images = real.draw(self.batch_real, ctx.seed, draw).augmented(&augmentation);
            let real = tch::no_grad(|| features.of_real(&network, &parameters, &images, chunk))?;
            Ok(Target { network: number, draw, parameters, augmentation, real })
        };

        let steps = self
            .networks
            .checked_mul(self.steps_per_network)
            .context("networks times steps_per_network is too large")?;
        let rates = Rates { steps, steps_per_iteration: 1, lr: self.lr_img, momentum: self.momentum_img };
        let mut descent = Descent::new(ctx, &start, rates)?;
        let mut target: Option<Target<F::Real>> = None;
        while let Some(step) = descent.next() {
            let number = step / self.steps_per_network;
            let draw = self.redraw.of(step, number);
            let target = match target.take() {
                Some(same) if (same.network, same.draw) == (number, draw) => target.insert(same),
                _ => target.insert(make_target(number, draw)?),
            };
            let synthetic = ClassImages::even(descent.images().shallow_clone(), dataset.classes);
            let Target { parameters, augmentation, real, .. } = target;
            let (loss, gradient) =
                features.compare(&network, parameters, real, &synthetic, augmentation, chunk_with_graph)?;
            descent.descend(&loss, &gradient)?;
        }
        Ok(descent.outputs())
    }
}

/// The gradient of a sum over classes with respect to the images, in their shape. The sum falls apart, so a few classes
/// at a time go forward and back, and only their graph is held; the result is the same up to rounding. With batch
/// statistics all classes go together. `compare` gets such classes and their images under their augmentation, and gives
/// its part of the sum, a scalar, and anything else, which is handed back.
pub fn gradient_by_classes<T>(
    network: &Network,
    synthetic: &ClassImages,
    augmentation: &ClassAugmentation,
    chunk: Chunk,
    mut compare: impl FnMut(Range<usize>, &ClassImages) -> Result<(Tensor, T), TchError>,
) -> Result<(Tensor, Vec<T>), TchError> {
    let (mut gradients, mut others) = (Vec::new(), Vec::new());
    for group in class_groups(&synthetic.counts, together(network, chunk).0) {
        let leaves: Vec<_> = group
            .clone()
            .map(|class| synthetic.class(class).f_detach()?.f_set_requires_grad(true))
            .collect::<Result<_, _>>()?;
        let augmented: Vec<_> =
            group.clone().zip(&leaves).map(|(class, leaf)| augmentation.apply(class, leaf)).collect();
        let counts = synthetic.counts[group.clone()].to_vec();
        let images = ClassImages { images: Tensor::f_cat(&augmented, 0)?, counts };
        let (part, other) = compare(group, &images)?;
        gradients.extend(Tensor::f_run_backward(&[part], &leaves, false, false)?);
        others.push(other);
    }
    Ok((Tensor::f_cat(&gradients, 0)?, others))
}

/// How many images may go through a network in training mode at a time: all at once, where batch statistics make them
/// depend on each other.
pub fn together(network: &Network, Chunk(chunk): Chunk) -> Chunk {
    Chunk(if network.has_batch_statistics() { i64::MAX } else { chunk.max(1) })
}
