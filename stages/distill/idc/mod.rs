//! `distill.idc`: images that hold several each, moved class by class until a network that learns from real images gets
//! the same gradient, or sees the same features, from what they hold as from real ones. Reads, loops, writes; a step is in
//! `steps.rs`, what is compared in `loss.rs`, what the network sees in `view.rs`.

#![expect(non_snake_case, reason = "tensors carry their shape in their names; loss.rs has the legend")]

pub mod lesson;
pub mod loss;
mod params;
pub mod start;
mod steps;
pub mod turns;
pub mod view;

pub use params::Params;

use crate::artifact::SyntheticSet;
use crate::common::matching::{Descent, Rates, RealImages, graph_chunk};
use crate::common::network::{Chunk, Network};
use crate::common::train::{Combined, Sgd};
use crate::common::trajectory::Experts;
use crate::context::{Context, Inputs, Outputs};
use anyhow::{Context as _, Result, ensure};
use lesson::Lessons;
use params::{Augment, DecodeType};
use steps::Run;
use turns::Turns;

/// Runs the stage.
pub fn run(ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    let dataset = inputs.dataset("real")?;
    let [_, height, width] = dataset.image_shape();
    let (decoder, stored) = params.decoders();
    decoder.check([height, width])?;
    let start = start::start(ctx, inputs, &dataset, params.ipc, params.init, decoder)?;
    let real = RealImages::new(&dataset, &start)?;
    let network = params.network(&dataset)?;
    let objective = params.objective(&network)?;
    let strategy = (params.augment == Augment::Idc).then_some(&params.strategy);
    let lessons = Lessons {
        dataset: &dataset,
        network: &network,
        batch: params.batch_train,
        lr: params.lr_net,
        sgd: Sgd { momentum: params.momentum_net, weight_decay: params.weight_decay_net },
        augment: Combined::new(strategy, params.cutmix, ctx.seed),
        seed: ctx.seed,
    };
    let turns = Turns {
        classes: dataset.classes as u64,
        inner: params.inner_loop,
        iterations_per_network: params.iterations_per_network,
        early: params.early_epochs * lessons.per_epoch(),
        lesson: params.train_passes * lessons.of_images(params.train_images),
    };
    let experts = if inputs.has("experts") { Some(pretrained(inputs, &network, &params)?) } else { None };
    let steps_per_iteration = turns.classes * turns.inner;
    let rates = Rates {
        steps: params
            .iterations
            .checked_mul(steps_per_iteration)
            .context("iterations times inner_loop is too large")?,
        steps_per_iteration,
        lr: turns::image_rate(params.lr_img, start.ipc, [height, width], params.lr_base_size),
        momentum: params.momentum_img,
    };
    let (lr, ipc) = (rates.lr, start.ipc);
    let mut descent = Descent::new(ctx, &start, rates)?;
    let chunk = params.chunk.map_or(graph_chunk(ctx.device), Chunk);
    let run = Run {
        ctx,
        params: &params,
        dataset: &dataset,
        real,
        network: &network,
        lessons,
        objective,
        turns,
        experts,
        decoder,
        strategy,
        chunk,
    };
    let mut learner = None;
    while let Some(step) = descent.next() {
        let now = run.learner(&mut descent, learner.take(), step)?;
        let (loss, gradient_MCHW) = run.matched(&descent, &now, step)?;
        descent.descend(&loss, &gradient_MCHW)?;
        learner = Some(now);
    }

    let set = SyntheticSet {
        normalisation: dataset.normalisation.clone(),
        decoder: (stored.factor > 1).then_some(stored),
        ..start.with_images(dataset.normalisation.apply(descent.images()))
    };
    let bound = (params.decode_type == DecodeType::Bound).then_some(params.batch_syn_max);
    let epochs = turns::evaluation_epochs([height, width], ipc, params.factor, dataset.classes, bound);
    Ok(descent
        .outputs()
        .tensors("synthetic", set.to_file())
        .metric("lr_img", lr)
        .metric("stored_ipc", ipc as f64)
        .metric("ipc", stored.count(ipc) as f64)
        .metric("evaluation_epochs", epochs as f64))
}

/// The experts whose early epochs fresh networks are taken from.
fn pretrained(inputs: &Inputs, network: &Network, params: &Params) -> Result<Experts> {
    let experts = Experts::open(inputs, "experts")?;
    ensure!(
        experts.network().spec() == network.spec(),
        "the experts are {:?}, the networks to start with them {:?}; train experts of the same network on the same images",
        experts.network().spec(),
        network.spec()
    );
    let last = params.pretrained_epoch + params.pretrained_epochs - 1;
    ensure!(
        last <= experts.epochs,
        "pretrained_epoch {} and pretrained_epochs {} need experts of {last} epochs, these have {}; train them longer, or \
         lower one of the two",
        params.pretrained_epoch,
        params.pretrained_epochs,
        experts.epochs
    );
    Ok(experts)
}
