//! The loop of feature matching (DM, DataDAM): synthetic images are moved until random networks see in them, on average,
//! what they see in the real images of the same class. One network after the other, each for some steps of the images.
//! What is compared is the method's [`FeatureLoss`].

#![expect(
    non_snake_case,
    reason = "tensors carry their shape in their names; synthesis/class_images.rs has the legend"
)]

pub mod datadam;
pub mod dm;
mod means;
mod redraw;

pub use means::{class_means, gradient_through_means};
pub use redraw::Redraw;

use crate::context::{Context, Inputs, Outputs};
use crate::distill::synthesis::{ByClass, ClassAugmentation, ClassImages, Learnable, Length, RealImages, Recorder};
use crate::params::{DsaParams, NetworkParams};
use anyhow::{Context as _, Result};
use ddpipe_nn::ahead::Ahead;
use ddpipe_nn::network::{Chunk, Network, Parameters};
use ddpipe_nn::pieces::Graph;
use ddpipe_nn::precision::Precision;
use ddpipe_nn::stream::stream;
use ddpipe_nn::transfer::{Parcel, Place};
use serde::Deserialize;
use tch::{TchError, Tensor};

/// The loss of a method that compares features of random networks.
pub trait FeatureLoss {
    /// What the synthetic images are compared with.
    type Targets;

    /// The targets from real images under their augmentation; called without a graph.
    fn targets(
        &self,
        network: &Network,
        parameters: &Parameters,
        real: &ClassImages,
        chunk: Chunk,
    ) -> Result<Self::Targets, TchError>;

    /// The loss of synthetic images \[M,C,H,W\], which the augmentation acts on first: a scalar without a graph, and its
    /// gradient with respect to the images.
    fn loss_and_gradient(
        &self,
        network: &Network,
        parameters: &Parameters,
        targets: &Self::Targets,
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
    pub precision: Precision,
}

/// What the steps of one draw have in common: the network, the augmentation, and the targets of the real images.
struct Draw<T> {
    number: (u64, u64),
    parameters: Parameters,
    augmentation: ClassAugmentation,
    targets: T,
}

/// What the host makes for a draw: the weights of the network, and which real images are seen; sent together.
struct Fresh {
    parcel: Parcel,
    weights: Vec<Place>,
    chosen: Place,
    counts: Vec<i64>,
}

impl Fresh {
    fn of(network: &Network, real: &ByClass, params: &FeatureMatching, seed: u64, step: u64) -> Self {
        let mut parcel = Parcel::default();
        let number = step / params.steps_per_network;
        let weights = network.draw(stream(seed, "network", number).generator(), &mut parcel);
        let (chosen, counts) = real.choose("real", params.batch_real, seed, params.redraw.of(step, number));
        Fresh { weights, chosen: parcel.add(&chosen), counts, parcel }
    }
}

impl FeatureMatching {
    /// Runs a stage with the inputs `real` and `start` and the outputs of [`Recorder::outputs`].
    pub fn run<L: FeatureLoss>(
        &self,
        ctx: &Context,
        inputs: &Inputs,
        augment: &DsaParams,
        network: &NetworkParams,
        method: &L,
    ) -> Result<Outputs> {
        let (dataset, start) = (inputs.dataset("real")?, inputs.start()?);
        let real = RealImages::new(&dataset, &start)?;
        self.precision.check()?;
        let [_, height, width] = dataset.image_shape();
        let network = network.network(dataset.image_shape(), dataset.classes)?;
        let chunk = |usual| self.chunk.map_or(usual, Chunk);
        let (chunk, chunk_with_graph) =
            (chunk(network.chunk(ctx.device, Graph::Without)), chunk(network.chunk(ctx.device, Graph::Kept)));
        let steps = self.networks.checked_mul(self.steps_per_network);
        let steps = steps.context("networks times steps_per_network is too large")?;
        let length = Length::iterations(steps);
        let mut fresh = {
            let (network, by_class, of) = (network.clone(), real.by_class().clone(), (self.clone(), ctx.seed));
            Ahead::new(ctx.device, steps, move |step| Fresh::of(&network, &by_class, &of.0, of.1, step))
        };

        let checkpoint = ctx.resume();
        let mut run = Recorder::new(ctx, &start, length, "lr_img", checkpoint.as_ref())?;
        let mut images = Learnable::images(&start, self.lr_img, self.momentum_img, checkpoint.as_ref())?;
        let mut draw: Option<Draw<L::Targets>> = None;
        while let Some(step) = run.next() {
            let number = step / self.steps_per_network;
            let redrawn = self.redraw.of(step, number);
            let now = match draw.take() {
                Some(same) if same.number == (number, redrawn) => same,
                _ => {
                    let next = match self.redraw {
                        Redraw::Step => step + 1,
                        Redraw::Network => (number + 1) * self.steps_per_network,
                    };
                    let Fresh { parcel, weights, chosen, counts } = fresh.get(step, next);
                    let (strategy, size) = (augment.strategy(), [height, width]);
                    let augmentation = ClassAugmentation::draw(strategy, dataset.classes, size, ctx.seed, redrawn);
                    let synthetic = real.synthetic().to_vec();
                    let (augmentation, sent) =
                        augmentation.sent_with(parcel, dataset.image_shape(), &[&counts, &synthetic], ctx.device);
                    let parameters = network.drawn(&weights, &sent, ctx.device)?;
                    let real = real.at(&sent.get(chosen), counts).augmented(&augmentation)?;
                    let targets = self.precision.pass(&parameters, |rounded| {
                        tch::no_grad(|| method.targets(&network, rounded, &real, chunk))
                    })?;
                    Draw { number: (number, redrawn), parameters, augmentation, targets }
                }
            };
            let synthetic = real.beside(images.value.shallow_clone());
            let (loss, gradient_MCHW) = method.loss_and_gradient(
                &network,
                &now.parameters,
                &now.targets,
                &synthetic,
                &now.augmentation,
                chunk_with_graph,
            )?;
            images.step(&gradient_MCHW)?;
            run.record(&loss, &[], &images.value, |checkpoint| images.store_images(checkpoint))?;
            draw = Some(now);
        }
        Ok(run.outputs(&start.with_images(images.value)))
    }
}
