//! Gradient matching (Zhao, Mopuri, Bilen 2021, algorithm 1), with or without Siamese augmentation: its parameters, and
//! its loop. One network after the other; the images take steps with each, and in between the network learns from them.
//! Reads, loops, writes; the equations are in `gradient.rs` and `distance.rs`, the networks in `pupil.rs`.

use super::{ClassAugmentation, Descent, Distance, Lesson, Loops, Pupil, Rates, RealImages, graph_chunk};
use super::{constant_gradient, match_gradient_in_chunks, with_statistics_of};
use crate::artifact::{Dataset, SyntheticSet};
use crate::common::augment::Strategy;
use crate::common::network::{Chunk, Network, NetworkParams, Parameters};
use crate::context::{Context, Inputs, Outputs};
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// Real images of each class that set the statistics of batch norms, as in the authors' code.
const STATISTICS: i64 = 16;

/// Synthetic images of a class whose second-order graph is held at a time, unless the stage says otherwise.
const SYNTHETIC: i64 = 512;

/// The parameters of gradient matching. Part of a kind's `Params`, by `#[serde(flatten)]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[expect(missing_docs, reason = "each is the parameter of the same name in stage.toml, which has the help")]
pub struct Condensation {
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

impl Condensation {
    /// How a network learns in between.
    pub fn lesson<'a>(&self, strategy: Option<&'a Strategy>) -> Lesson<'a> {
        Lesson { batch: self.batch_train, rate: self.lr_net, strategy }
    }

    /// Runs a stage with the inputs `real` and `start` and the outputs of [`Descent`]. A `strategy` acts in matching,
    /// the same on real and synthetic images, and on each image by itself in the networks' training.
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
        let rates = Rates {
            steps: loops.steps(self.iterations)?,
            steps_per_iteration: loops.steps_per_network()?,
            lr: self.lr_img,
            momentum: self.momentum_img,
        };
        let mut descent = Descent::new(ctx, &start, rates)?;
        let pupil = Pupil { ctx, network: &network, loops, lesson: self.lesson(strategy) };
        let run = Run { ctx, settings: self, strategy, dataset: &dataset, real, network: &network };
        while let Some(step) = descent.next() {
            let parameters = pupil.meet(&mut descent, step, |parameters| run.with_statistics(parameters, step))?;
            let (loss, gradient_MCHW) = run.matched(&descent, &parameters, step)?;
            descent.descend(&loss, &gradient_MCHW)?;
        }
        Ok(descent.outputs())
    }
}

/// What stays the same over a run.
struct Run<'a> {
    ctx: &'a Context,
    settings: &'a Condensation,
    strategy: Option<&'a Strategy>,
    dataset: &'a Dataset,
    real: RealImages<'a>,
    network: &'a Network,
}

impl Run<'_> {
    /// Few synthetic images would say little about mean and variance; real ones do.
    fn with_statistics(&self, parameters: Parameters, step: u64) -> Result<Parameters> {
        if !self.network.has_batch_statistics() {
            return Ok(parameters);
        }
        let images = self.real.draw_for("statistics", STATISTICS, self.ctx.seed, step).images;
        Ok(with_statistics_of(self.network, parameters, &images)?)
    }

    /// The sum of the classes' distances, and its gradient with respect to the images.
    fn matched(&self, descent: &Descent, parameters: &Parameters, step: u64) -> Result<(Tensor, Tensor)> {
        let Run { ctx, network, .. } = *self;
        let Condensation { batch_real, distance, chunk, .. } = *self.settings;
        let chunk = |usual| chunk.map_or(usual, Chunk);
        let (classes, [_, height, width]) = (self.dataset.classes, self.dataset.image_shape());
        let augmentation = ClassAugmentation::draw(self.strategy, classes, [height, width], ctx.seed, step);
        let real = self.real.draw(batch_real, ctx.seed, step);
        let SyntheticSet { ref images, ref labels, ipc, .. } = *descent.set();
        let (mut losses, mut gradients) = (Vec::new(), Vec::new());
        for class in 0..classes as usize {
            let shown = augmentation.apply(class, &real.class(class));
            let called = Tensor::f_full([shown.size()[0]], class as i64, (Kind::Int64, ctx.device))?;
            let target = constant_gradient(network, parameters, &shown, &called, chunk(graph_chunk(ctx.device)))?;
            let own = |tensor: &Tensor| tensor.f_narrow(0, class as i64 * ipc, ipc);
            let matched = match_gradient_in_chunks(
                network,
                parameters,
                &own(images)?,
                &own(labels)?,
                |pixels| augmentation.apply(class, pixels),
                |gradient| distance.between(&target, gradient),
                chunk(Chunk(SYNTHETIC)),
            )?;
            losses.push(matched.distance);
            gradients.push(matched.gradient);
            descent.tick()?;
        }
        let losses_K = Tensor::f_stack(&losses, 0)?;
        Ok((losses_K.f_sum(Kind::Float)?, Tensor::f_cat(&gradients, 0)?))
    }
}
