//! The loop of gradient matching (Zhao, Mopuri, Bilen, Dataset Condensation with Gradient Matching, 2021, algorithm 1),
//! with or without Siamese augmentation: the synthetic images are moved until they give a network the gradient that the
//! real images give it. One network after the other; the images take a step for each turn of the outer loop, and between
//! two turns the network is trained on them, which is the inner loop.

#![expect(
    non_snake_case,
    reason = "tensors carry their shape in their names; synthesis/class_images.rs has the legend"
)]

pub mod dc;
mod distance;
pub mod dsa;
mod gradient;
mod inner_network;
mod loops;
mod together;

pub use distance::{Distance, layer_distances};
pub use gradient::{MatchedGradient, constant_gradient, match_gradient, match_gradient_in_chunks, with_statistics_of};
pub use inner_network::{InnerLoop, InnerNetwork};
pub use loops::{Loops, Position, Starts};
pub use together::{MatchedClasses, constant_gradients, match_gradients};

use crate::artifact::Dataset;
use crate::context::{Checkpoint, Context, Inputs, Outputs};
use crate::distill::synthesis::{ClassAugmentation, ClassImages, Learnable, Length, RealImages, Recorder};
use crate::params::NetworkParams;
use anyhow::{Context as _, Error, Result};
use ddpipe_nn::augment::Strategy;
use ddpipe_nn::layout::Layout;
use ddpipe_nn::network::{Chunk, Network, Parameters};
use ddpipe_nn::pieces::{self, Graph, Shared};
use ddpipe_nn::transfer::Parcel;
use serde::{Deserialize, Serialize};
use tch::{Kind, TchError, Tensor};

/// Real images of each class that set the statistics of batch norms, as in the authors' code.
const STATISTICS: i64 = 16;

/// The parameters of gradient matching. Part of a kind's `Params`, by `#[serde(flatten)]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[expect(missing_docs, reason = "each is the parameter of the same name in stage.toml, which has the help")]
pub struct GradientMatching {
    pub iterations: u64,
    pub outer_loop: Option<u64>,
    pub inner_loop: Option<u64>,
    pub lr_img: f64,
    pub momentum_img: f64,
    pub lr_net: f64,
    pub batch_real: i64,
    pub batch_train: i64,
    pub distance: Distance,
    /// Changes rounding only, so it is not part of what a run is known by.
    #[serde(skip_serializing)]
    pub chunk: Option<i64>,
}

impl GradientMatching {
    /// How a network is trained on the synthetic images between two of their steps.
    pub fn inner_loop<'a>(&self, epochs: u64, strategy: Option<&'a Strategy>) -> InnerLoop<'a> {
        InnerLoop { epochs, batch: self.batch_train, lr: self.lr_net, strategy }
    }

    /// Runs a stage with the inputs `real` and `start` and the outputs of [`Recorder::outputs`]. A `strategy` acts in
    /// matching, the same on real and synthetic images, and on each image by itself in the networks' training.
    pub fn run(
        &self,
        ctx: &Context,
        inputs: &Inputs,
        network: &NetworkParams,
        strategy: Option<&Strategy>,
    ) -> Result<Outputs> {
        let (dataset, start) = (inputs.dataset("real")?, inputs.start()?);
        start.refuse_targets().context("input \"start\"")?;
        let real = RealImages::new(&dataset, &start)?;
        let network = network.network(dataset.image_shape(), dataset.classes)?;
        let loops = Loops::of(start.ipc, self.outer_loop, self.inner_loop)?;
        let steps = loops.steps(self.iterations)?;
        let length = Length::new(steps, loops.steps_per_network()?);
        let matching = Matching { ctx, settings: self, strategy, dataset: &dataset, real, network: &network };

        let checkpoint = ctx.resume();
        let mut run = Recorder::new(ctx, &start, length, "lr_img", checkpoint.as_ref())?;
        let mut images = Learnable::images(&start, self.lr_img, self.momentum_img, checkpoint.as_ref())?;
        let mut inner = InnerNetwork::new(ctx, &network, self.inner_loop(loops.inner, strategy), checkpoint.as_ref())?;
        let save = |checkpoint: &mut Checkpoint, images: &Learnable, inner: &InnerNetwork| {
            images.store_images(checkpoint);
            inner.store(checkpoint);
        };
        for at in loops.positions(run.done(), steps) {
            let set = start.with_images(images.value.shallow_clone());
            let tick = || run.tick(|checkpoint| save(checkpoint, &images, &inner));
            // Fresh, or trained on the synthetic images since the step before.
            inner = inner.ready_for(at, &set, tick, |parameters| matching.with_statistics(parameters, at.step))?;

            let synthetic = matching.real.beside(set.images);
            let tick = || run.tick(|checkpoint| save(checkpoint, &images, &inner));
            let (loss, gradient_MCHW) =
                matching.loss_and_gradient(inner.parameters()?, &synthetic, &start.labels, at.step, tick)?;
            images.step(&gradient_MCHW)?;
            let recorded = run.record(&loss, &[], &images.value, |checkpoint| save(checkpoint, &images, &inner));
            recorded.map_err(|error| inner.blamed(error))?;
        }
        Ok(run.outputs(&start.with_images(images.value)))
    }
}

/// What stays the same over a run.
struct Matching<'a> {
    ctx: &'a Context,
    settings: &'a GradientMatching,
    strategy: Option<&'a Strategy>,
    dataset: &'a Dataset,
    real: RealImages<'a>,
    network: &'a Network,
}

impl Matching<'_> {
    /// The parameters with batch-norm statistics of real images: few synthetic images would say little about them.
    fn with_statistics(&self, parameters: Parameters, step: u64) -> Result<Parameters> {
        if !self.network.has_batch_statistics() {
            return Ok(parameters);
        }
        let images = self.real.draw_for("statistics", STATISTICS, self.ctx.seed, step).images;
        Ok(with_statistics_of(self.network, parameters, &images)?)
    }

    /// The sum over classes of the distance between the gradients of real and synthetic images, and its gradient with
    /// respect to the synthetic images \[M,C,H,W\]. `tick` is called after every class, or after all where they are
    /// computed together, and may end it.
    fn loss_and_gradient(
        &self,
        parameters: &Parameters,
        synthetic: &ClassImages,
        labels: &Tensor,
        step: u64,
        tick: impl Fn() -> Result<()>,
    ) -> Result<(Tensor, Tensor)> {
        let Matching { ctx, network, .. } = *self;
        let GradientMatching { batch_real, distance, chunk, .. } = *self.settings;
        let chunk = |usual| chunk.map_or(usual, Chunk);
        let (classes, [_, height, width]) = (self.dataset.classes, self.dataset.image_shape());
        let augmentation = ClassAugmentation::draw(self.strategy, classes, [height, width], ctx.seed, step);
        let (chosen, counts) = self.real.by_class().choose("real", batch_real, ctx.seed, step);
        let mut parcel = Parcel::default();
        let chosen = parcel.add(&chosen);
        let shape = self.dataset.image_shape();
        let (augmentation, sent) = augmentation.sent_with(parcel, shape, &[&counts, &synthetic.counts], ctx.device);
        let real = self.real.at(&sent.get(chosen), counts);
        let chunks = (chunk(network.chunk(ctx.device, Graph::Kept)), chunk(network.second_order_held(ctx.device)));
        // A class of which only a part fits is computed by itself, twice.
        let fits = synthetic.counts.iter().all(|&count| count <= chunks.1.0);
        if Layout::of(ctx.device) == Layout::Together && network.has_gradients_by_group() && fits {
            let real = real.augmented(&augmentation)?;
            let target = constant_gradients(network, parameters, &real, distance, chunks.0)?;
            let matched =
                match_gradients(network, parameters, &target, synthetic, labels, &augmentation, distance, chunks.1)?;
            tick()?;
            return Ok((matched.distances_K.f_sum(Kind::Float)?, matched.gradient_MCHW));
        }
        let shared = Shared::new(parameters);
        let of_class = |(class, [real, pixels, labels]): (usize, [Tensor; 3])| {
            let real = augmentation.apply(class, &real);
            let real_labels = Tensor::f_full([real.size()[0]], class as i64, (Kind::Int64, real.device()))?;
            let target = constant_gradient(network, &shared, &real, &real_labels, chunks.0)?;
            let view = |pixels: &Tensor| augmentation.apply(class, pixels);
            let between = |gradient: &[Tensor]| distance.between(&target, gradient);
            match_gradient_in_chunks(network, &shared, &pixels, &labels, view, between, chunks.1).map_err(Error::from)
        };
        let parts = (0..classes as usize)
            .map(|class| Ok((class, [real.class(class), synthetic.class(class), synthetic.rows(class, labels)?])))
            .collect::<Result<Vec<_>, TchError>>()?;
        let matched = pieces::map_while(ctx.device, Graph::Kept, parts, of_class, tick)?;
        let (losses, gradients): (Vec<Tensor>, Vec<Tensor>) =
            matched.into_iter().map(|matched| (matched.distance, matched.gradient)).unzip();
        let losses_K = Tensor::f_stack(&losses, 0)?;
        Ok((losses_K.f_sum(Kind::Float)?, Tensor::f_cat(&gradients, 0)?))
    }
}
