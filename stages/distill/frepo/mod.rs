//! `distill.frepo`: synthetic images and labels on which ridge regression, in the features of networks that learn from
//! them meanwhile, predicts the real images' labels. Reads, loops, writes; the equations are in `loss.rs`, the networks
//! in `pool.rs`.

#![expect(non_snake_case, reason = "tensors carry their shape in their names; loss.rs has the legend")]

mod images_and_labels;
pub mod loss;
mod pool;

use crate::artifact::{Dataset, SyntheticSet};
use crate::context::{Context, Inputs, Outputs};
use crate::distill::synthesis::{Length, Recorder};
use crate::params::NetworkParams;
use crate::training::fits;
use anyhow::{Context as _, Result, ensure};
use ddpipe_nn::loss::centred;
use ddpipe_nn::network::{Chunk, Mode, Network, NetworkSpec, Parameters};
use ddpipe_nn::optim::Optimiser;
use ddpipe_nn::pieces::Graph;
use ddpipe_nn::precision::Precision;
use ddpipe_nn::stream::stream;
use ddpipe_nn::transfer::Parcel;
use images_and_labels::{ImagesAndLabels, OptimiserSettings};
use loss::Real;
use pool::{Pool, Upkeep};
use serde::Deserialize;
use tch::Tensor;

/// The curve of the share of real images that the regression classifies rightly.
const ACCURACY: &str = "accuracy";

/// What may be lower, or higher, where the loss is no longer finite.
const ADVICE: &str = "lr_img or lr_net, or, where the kernel of the synthetic images is not positive, a larger reg or a \
                      smaller lr_img";

/// The parameters, as `stage.toml` declares them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "stage.toml documents them")]
pub struct Params {
    pub iterations: u64,
    pub optimizer: Optimiser,
    pub lr_img: f64,
    pub learn_labels: bool,
    pub reg: f64,
    pub flip: bool,
    pub batch_real: i64,
    pub networks: u64,
    pub net_steps: u64,
    pub lr_net: f64,
    pub batch_syn: i64,
    pub doubling: bool,
    #[serde(flatten)]
    pub network: NetworkParams,
    pub chunk: Option<i64>,
    pub precision: Precision,
}

/// Runs the stage.
pub fn run(ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    let (dataset, start) = (inputs.dataset("real")?, inputs.start()?);
    let size = start.images.size();
    let shape = [size[1], size[2], size[3]];
    fits((shape, start.classes), (dataset.image_shape(), dataset.classes), "real").context("input \"start\"")?;
    ensure!(!dataset.is_empty(), "input \"real\" has no images");
    ensure!(dataset.classes > 1, "there is nothing to tell apart in {} class", dataset.classes);
    let network = Network::new(&params.spec(&dataset)?)?;
    params.precision.check()?;
    let settings = OptimiserSettings {
        iterations: params.iterations,
        optimiser: params.optimizer,
        rate: params.lr_img,
        learn_labels: params.learn_labels,
    };
    let upkeep = Upkeep {
        networks: params.networks,
        most_steps: params.net_steps,
        rate: params.lr_net,
        batch: params.batch_syn,
        chunk: params.chunk.map_or(network.chunk(ctx.device, Graph::Kept), Chunk),
    };
    let chunk = params.chunk.map_or(network.chunk(ctx.device, Graph::Without), Chunk);
    let drawn = Drawn { dataset: &dataset, all: (0..dataset.len()).collect(), amount: params.batch_real as usize };

    let checkpoint = ctx.resume();
    let length = Length::iterations(params.iterations);
    let mut run = Recorder::new(ctx, &start, length, ADVICE, checkpoint.as_ref())?;
    let (mut learnt, mut pool) = match &checkpoint {
        None => (
            ImagesAndLabels::new(&start, first_labels(&start)?, settings),
            Pool::new(&network, upkeep, ctx.seed, ctx.device)?,
        ),
        Some(checkpoint) => (
            ImagesAndLabels::restore(checkpoint, settings)?,
            Pool::restore(&network, upkeep, ctx.seed, ctx.device, checkpoint)?,
        ),
    };
    while let Some(step) = run.next() {
        let place = pool.choose(step);
        // What the step draws is sent together: real images, and what the network learns from or is replaced by.
        let mut parcel = Parcel::default();
        let real = parcel.add(&stream(ctx.seed, "real", step).choose(&drawn.all, drawn.amount));
        let next = pool.draw(place, size[0], step, &mut parcel);
        let sent = parcel.send(ctx.device);
        let parameters = pool.parameters(place);
        let features = |rounded: &Parameters| drawn.features(&network, rounded, &sent.get(real), chunk);
        let real = params.precision.pass(parameters, features)?;
        let set = (learnt.images(), learnt.labels());
        let regressed = loss::regress(&network, parameters, &real, set, params.flip, params.reg)
            .context("the regression on the synthetic images")?;
        learnt.step(step, &regressed)?;
        pool.train(place, learnt.images(), learnt.labels(), &next, &sent)?;
        let accuracy = [(ACCURACY, &regressed.accuracy)];
        run.record(&regressed.loss, &accuracy, learnt.images(), |checkpoint| {
            learnt.store(checkpoint);
            pool.store(checkpoint);
        })?;
    }
    let accuracy = run.curve(ACCURACY).last().map(|(_, accuracy)| *accuracy);
    let outputs = run.outputs(&learnt.into_set(&start));
    Ok(match accuracy {
        Some(accuracy) => outputs.metric("regression_accuracy", accuracy),
        None => outputs,
    })
}

impl Params {
    /// The pool's network. With `doubling` every block of a ConvNet is twice as wide as the one before.
    fn spec(&self, dataset: &Dataset) -> Result<NetworkSpec> {
        let spec = self.network.spec(dataset.image_shape(), dataset.classes)?;
        if self.doubling { self.network.doubled(spec) } else { Ok(spec) }
    }
}

/// Regression targets to start from, \[M,K\]: the set's own, or what its labels say, of the published length.
fn first_labels(start: &SyntheticSet) -> Result<Tensor> {
    if start.targets {
        return Ok(start.labels.copy());
    }
    let scale = (start.classes as f64 / 10.0).sqrt();
    Ok(centred(&start.labels, start.classes)?.f_div_scalar(scale)?)
}

/// Real images, drawn from all of them.
struct Drawn<'a> {
    dataset: &'a Dataset,
    all: Vec<i64>,
    amount: usize,
}

impl Drawn<'_> {
    /// The features that a network has of the real images at these positions (\[B\] int64), and their targets.
    fn features(&self, network: &Network, parameters: &Parameters, drawn: &Tensor, chunk: Chunk) -> Result<Real> {
        let dataset = self.dataset;
        let features_BD = network.embed_chunked(parameters, &dataset.floats_at(drawn), Mode::Eval, chunk)?;
        let targets_BK = centred(&dataset.labels.f_index_select(0, drawn)?, dataset.classes)?;
        Ok(Real { features_BD, targets_BK })
    }
}
