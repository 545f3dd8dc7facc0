//! `distill.datadam`: moves synthetic images until random networks attend to them, on average, as to the real images of
//! their class. Reads, loops, writes; the equations are in `attention.rs` and `loss.rs`.

pub mod attention;
pub mod loss;

use crate::common::augment::Strategy;
use crate::common::matching::{ClassAugmentation, ClassImages, Descent, Rates, RealImages, Redraw, graph_chunk};
use crate::common::network::{
    Activation, Chunk, Network, NetworkSpec, Norm, Overrides, Parameters, Pooling, takes_norm,
};
use crate::common::stream::stream;
use crate::context::{Context, Inputs, Outputs};
use anyhow::{Context as _, Result};
use serde::Deserialize;

/// The parameters, as `stage.toml` declares them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "stage.toml documents them")]
pub struct Params {
    pub networks: u64,
    pub steps_per_network: u64,
    pub lr_img: f64,
    pub momentum_img: f64,
    pub batch_real: i64,
    pub redraw: Redraw,
    pub augment: Augment,
    pub strategy: Strategy,
    pub exponent: f64,
    pub normalisation: attention::Normalisation,
    pub task_balance: f64,
    pub arch: String,
    pub width: Option<i64>,
    pub depth: Option<i64>,
    pub norm: Norm,
    pub activation: Option<Activation>,
    pub pooling: Option<Pooling>,
    pub chunk: Option<i64>,
}

/// Which augmentation acts on real and synthetic images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Augment {
    /// None.
    None,
    /// Differentiable Siamese augmentation.
    Dsa,
}

/// What the synthetic images are compared with in a step.
struct Target {
    network: u64,
    draw: u64,
    parameters: Parameters,
    augmentation: ClassAugmentation,
    means: loss::ClassMeans,
}

/// Runs the stage.
pub fn run(ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    let (dataset, start) = (inputs.dataset("real")?, inputs.start()?);
    let real = RealImages::new(&dataset, &start)?;
    let [channels, height, width] = dataset.image_shape();
    let spec = NetworkSpec::named(&params.arch, &params.overrides(), channels, [height, width], dataset.classes)?;
    let network = Network::new(&spec)?;
    let strategy = (params.augment == Augment::Dsa).then_some(&params.strategy);
    let chunk = |usual| params.chunk.map_or(usual, Chunk);
    let (chunk, chunk_with_graph) = (chunk(Chunk::inference(ctx.device)), chunk(graph_chunk(ctx.device)));

    let settings = loss::Settings {
        exponent: params.exponent,
        normalisation: params.normalisation,
        task_balance: params.task_balance,
    };

    let make_target = |number: u64, draw: u64| -> Result<Target> {
        let parameters = network.init(stream(ctx.seed, "network", number).generator(), ctx.device)?;
        let augmentation = ClassAugmentation::draw(strategy, dataset.classes, [height, width], ctx.seed, draw);
        let images = real.draw(params.batch_real, ctx.seed, draw).augmented(&augmentation);
        let means = tch::no_grad(|| loss::class_means(&network, &parameters, &images, settings, chunk))?;
        Ok(Target { network: number, draw, parameters, augmentation, means })
    };

    let steps = params
        .networks
        .checked_mul(params.steps_per_network)
        .context("networks times steps_per_network is too large")?;
    let rates = Rates { steps, steps_per_iteration: 1, lr: params.lr_img, momentum: params.momentum_img };
    let mut descent = Descent::new(ctx, &start, rates)?;
    let mut target: Option<Target> = None;
    while let Some(step) = descent.next() {
        let number = step / params.steps_per_network;
        let draw = params.redraw.of(step, number);
        let target = match target.take() {
            Some(same) if (same.network, same.draw) == (number, draw) => target.insert(same),
            _ => target.insert(make_target(number, draw)?),
        };
        let synthetic = ClassImages::even(descent.images().shallow_clone(), dataset.classes);
        let matched = loss::match_means(
            &network,
            &target.parameters,
            &target.means,
            &synthetic,
            &target.augmentation,
            settings,
            chunk_with_graph,
        )?;
        descent.descend(&matched.loss(), &matched.gradient_MCHW)?;
    }
    Ok(descent.outputs())
}

impl Params {
    fn overrides(&self) -> Overrides {
        let Params { width, depth, activation, pooling, .. } = *self;
        // `norm` has a default, so it always arrives; where there is none to choose, only another one was asked for.
        let norm = (takes_norm(&self.arch) || self.norm != Norm::Batch).then_some(self.norm);
        Overrides { width, depth, norm, activation, pooling }
    }
}
