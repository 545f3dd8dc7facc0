//! `distill.idc`: images that hold several each, moved class by class until a network that is trained on real images gets
//! the same gradient, or has the same features, from what they hold as from real ones. The loop is below; what is compared
//! is in `loss.rs`, what the network sees in `view.rs`, and how it is trained in `network.rs`.

#![expect(non_snake_case, reason = "tensors carry their shape in their names; loss.rs has the legend")]

pub mod loops;
pub mod loss;
mod matching;
pub mod network;
mod params;
pub mod start;
pub mod view;

pub use params::Params;

use crate::artifact::SyntheticSet;
use crate::context::{Checkpoint, Context, Inputs, Outputs};
use crate::distill::synthesis::{Learnable, Length, RealImages, Recorder};
use crate::training::Experts;
use anyhow::{Context as _, Result, ensure};
use ddpipe_nn::augment::Combined;
use ddpipe_nn::network::{Chunk, Network};
use ddpipe_nn::optim::Sgd;
use ddpipe_nn::pieces::Graph;
use ddpipe_nn::stream::stream;
use loops::{Loops, Starts};
use matching::Matching;
use network::{RealTraining, TrainedNetwork};
use params::{Augment, DecodeType};
use std::cell::RefCell;

/// Runs the stage.
pub fn run(ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    let dataset = inputs.dataset("real")?;
    let [_, height, width] = dataset.image_shape();
    let (decoder, stored) = params.decoders();
    decoder.check([height, width])?;
    let start = start::start(ctx, inputs, &dataset, params.ipc, params.init, decoder)?;
    let real = RealImages::new(&dataset, &start)?;
    ensure!(
        start.images.size()[0] == start.classes * start.ipc,
        "input \"start\" has fewer than {} images of some classes, and distill.idc decodes and scales its rate by one number \
         for all; make it with short = \"repeat\"",
        start.ipc
    );
    let network = params.network(&dataset)?;
    let objective = params.objective(&network)?;
    let strategy = (params.augment == Augment::Idc).then_some(&params.strategy);
    let training = RealTraining {
        dataset: &dataset,
        network: &network,
        batch: params.batch_train,
        lr: params.lr_net,
        sgd: Sgd { momentum: params.momentum_net, weight_decay: params.weight_decay_net },
        augment: Combined::new(strategy, params.cutmix, ctx.seed),
        seed: ctx.seed,
        orders: RefCell::default(),
    };
    let loops = Loops {
        classes: dataset.classes as u64,
        inner: params.inner_loop,
        iterations_per_network: params.iterations_per_network,
        early_batches: params.early_epochs * training.per_epoch(),
        train_batches: params.train_passes * training.of_images(params.train_images),
    };
    let experts = if inputs.has("experts") { Some(pretrained(inputs, &network, &params)?) } else { None };
    let per_iteration = loops.classes * loops.inner;
    let steps = params.iterations.checked_mul(per_iteration).context("iterations times inner_loop is too large")?;
    let lr = loops::image_rate(params.lr_img, start.ipc, [height, width], params.lr_base_size);
    let chunk = params.chunk.map_or(network.chunk(ctx.device, Graph::Kept), Chunk);
    let matching = Matching {
        ctx,
        params: &params,
        dataset: &dataset,
        real,
        network: &network,
        objective,
        decoder,
        strategy,
        chunk,
    };

    let checkpoint = ctx.resume();
    let mut run = Recorder::new(ctx, &start, Length::new(steps, per_iteration), "lr_img", checkpoint.as_ref())?;
    let mut images = Learnable::images(&start, lr, params.momentum_img, checkpoint.as_ref())?;
    let mut trained = match &checkpoint {
        Some(checkpoint) => TrainedNetwork::restore(&network, checkpoint)?,
        None => None,
    };
    let save = |checkpoint: &mut Checkpoint, images: &Learnable, trained: &Option<TrainedNetwork>| {
        images.store_images(checkpoint);
        if let Some(trained) = trained {
            trained.store(&network, checkpoint);
        }
    };
    for at in loops.positions(run.done(), steps) {
        if at.begins_iteration {
            images.value = images.value.f_clamp(0.0, 1.0)?;
        }
        // Before each turn over the classes the network is trained on real images, a fresh one for longer.
        let tick = || run.tick(|checkpoint| save(checkpoint, &images, &trained));
        let last = || trained.as_ref().map(TrainedNetwork::shared).context("the checkpoint has no network");
        let now = match at.starts {
            Starts::Fresh { number, batch } => {
                let fresh = fresh(ctx, &params, &network, experts.as_ref(), number)?;
                training.train(fresh, batch, loops.early_batches, tick)?
            }
            Starts::AfterTraining { batch } => training.train(last()?, batch, loops.train_batches, tick)?,
            Starts::Same => last()?,
        };
        let (loss, gradient_MCHW) =
            matching.loss_and_gradient(&now.parameters, &images.value, &start, (at.class, at.step))?;
        images.step(&gradient_MCHW)?;
        trained = Some(now);
        let recorded = run.record(&loss, &[], &images.value, |checkpoint| save(checkpoint, &images, &trained));
        recorded.map_err(|error| match &trained {
            Some(trained) => trained.blamed(error),
            None => error,
        })?;
    }

    let set = SyntheticSet {
        normalisation: dataset.normalisation.clone(),
        decoder: (stored.factor > 1).then_some(stored),
        ..start.with_images(dataset.normalisation.apply(&images.value))
    };
    let bound = (params.decode_type == DecodeType::Bound).then_some(params.batch_syn_max);
    let epochs = loops::evaluation_epochs([height, width], start.ipc, params.factor, dataset.classes, bound);
    Ok(run
        .outputs(&set)
        .metric("lr_img", lr)
        .metric("stored_ipc", start.ipc as f64)
        .metric("ipc", stored.count(start.ipc) as f64)
        .metric("evaluation_epochs", epochs as f64))
}

/// A network with fresh weights, or with those of an early epoch of an expert.
fn fresh(
    ctx: &Context,
    params: &Params,
    network: &Network,
    experts: Option<&Experts>,
    number: u64,
) -> Result<TrainedNetwork> {
    let (seed, device) = (ctx.seed, ctx.device);
    let Some(experts) = experts else {
        return Ok(TrainedNetwork::new(network.init(stream(seed, "network", number).generator(), device)?));
    };
    let mut stream = stream(seed, "pretrained", number);
    let expert = stream.integer(0, experts.count() as i64) as u64;
    let first = params.pretrained_epoch as i64;
    let epoch = stream.integer(first, first + params.pretrained_epochs as i64) as u64;
    Ok(TrainedNetwork::new(experts.parameters(expert, epoch, device)?))
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
