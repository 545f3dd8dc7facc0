//! `distill.dm`: moves synthetic images until random networks embed them, on average, like the real images of their
//! class. Reads, loops, writes; the equations are in `loss.rs`.

#![expect(non_snake_case, reason = "tensors carry their shape in their names; loss.rs has the legend")]

pub mod loss;

use crate::common::augment::Strategy;
use crate::common::matching::{ClassAugmentation, ClassImages, Descent, Rates, RealImages, Redraw, graph_chunk};
use crate::common::network::{Activation, Chunk, Network, NetworkSpec, Norm, Overrides, Parameters, Pooling};
use crate::common::stream::stream;
use crate::context::{Context, Inputs, Outputs};
use anyhow::{Context as _, Result};
use serde::Deserialize;
use tch::{Kind, Tensor};

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
    pub arch: String,
    pub width: Option<i64>,
    pub depth: Option<i64>,
    pub norm: Option<Norm>,
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
    mean_real_KD: Tensor,
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

    let make_target = |number: u64, draw: u64| -> Result<Target> {
        let parameters = network.init(stream(ctx.seed, "network", number).generator(), ctx.device)?;
        let augmentation = ClassAugmentation::draw(strategy, dataset.classes, [height, width], ctx.seed, draw);
        let images = real.draw(params.batch_real, ctx.seed, draw).augmented(&augmentation);
        let mean_real_KD = loss::mean_embeddings(&network, &parameters, &images, chunk)?;
        Ok(Target { network: number, draw, parameters, augmentation, mean_real_KD })
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
        let matched = loss::match_embeddings(
            &network,
            &target.parameters,
            &target.mean_real_KD,
            &synthetic,
            &target.augmentation,
            chunk_with_graph,
        )?;
        descent.descend(&matched.per_class_K.sum(Kind::Float), &matched.gradient_MCHW)?;
    }
    Ok(descent.outputs())
}

impl Params {
    fn overrides(&self) -> Overrides {
        let Params { width, depth, norm, activation, pooling, .. } = *self;
        Overrides { width, depth, norm, activation, pooling }
    }
}
