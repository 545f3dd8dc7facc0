//! `distill.psg`: moves synthetic images until a network's gradient on them is like its gradient on the real ones, of
//! which it sees nothing but clipped sums with noise. Reads, loops, writes. The mechanism is in `clipping.rs` and
//! `draws.rs`, its cost in `accountant.rs` and `budget.rs`, the loss in `matching.rs`.

#![expect(non_snake_case, reason = "tensors carry their shape in their names; each file has its legend")]

pub mod accountant;
pub mod budget;
pub mod clipping;
mod descent;
mod draws;
mod loops;
pub mod matching;
mod start;

use crate::artifact::Dataset;
use crate::common::matching::graph_chunk;
use crate::common::network::{Activation, Chunk, Network, NetworkSpec, Norm, Overrides, Pooling};
use crate::context::{Context, Inputs, Outputs};
use anyhow::{Result, ensure};
use budget::{Budget, Wish};
use ddpipe_interface::ArtifactType;
use descent::{Descent, Rates};
use draws::Draws;
use loops::Loops;
use matching::Distance;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The parameters, as `stage.toml` declares them.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "stage.toml documents them")]
pub struct Params {
    pub ipc: Option<i64>,
    pub start_is_public: bool,
    pub target_epsilon: f64,
    pub delta: f64,
    pub noise_multiplier: Option<f64>,
    pub max_norm: f64,
    pub batch_real: i64,
    pub divide_by: DivideBy,
    pub iterations: u64,
    pub outer_loop: Option<u64>,
    pub inner_loop: Option<u64>,
    pub batch_loop: u64,
    pub lr_img: f64,
    pub momentum_img: f64,
    pub lr_net: f64,
    pub batch_train: i64,
    pub distance: Distance,
    pub arch: String,
    pub width: Option<i64>,
    pub depth: Option<i64>,
    pub norm: Option<Norm>,
    pub activation: Option<Activation>,
    pub pooling: Option<Pooling>,
    #[serde(skip_serializing)]
    pub chunk: Option<i64>,
}

/// What the noisy sum of a sample is divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DivideBy {
    /// The size that a sample has on average, which tells nothing.
    Expected,
    /// The size that it has, as published.
    Sample,
}

/// Runs the stage.
pub fn run(ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    let dataset = inputs.dataset("real")?;
    let (rate, images) = (sampling_rate(&dataset, params.batch_real)?, dataset.len());
    let network = params.network(&dataset)?;
    let start = start::start(ctx, inputs, &dataset, params.ipc, params.start_is_public)?;
    let loops = Loops::of(start.ipc, params.outer_loop, params.inner_loop, params.batch_loop)?;
    let Params { target_epsilon: epsilon, delta, noise_multiplier: noise, max_norm, .. } = params;
    let planned = loops.steps(params.iterations)?;
    let budget = Budget::new(Wish { rate, planned, epsilon, delta, noise })?;
    let draws = draws(ctx, inputs, &params)?;
    if budget.steps < planned {
        ctx.warn(format!("the budget ends the run after {} of {planned} steps", budget.steps));
    }
    if delta * images as f64 >= 1.0 {
        ctx.warn(format!(
            "delta = {delta} is not below 1 / {images} images: it allows one of them to be published whole"
        ));
    }

    let rates = Rates {
        steps: budget.steps,
        lr_img: params.lr_img,
        momentum_img: params.momentum_img,
        lr_net: params.lr_net,
        batch_train: params.batch_train,
        epochs: loops.inner,
    };
    let chunk = params.chunk.map_or(graph_chunk(ctx.device), Chunk);
    let mut descent = Descent::new(ctx, &network, &start, rates)?;
    while let Some(step) = descent.next() {
        descent.open(loops.opening(step))?;
        let (parameters, set) = (descent.parameters(), descent.set());
        let sample = draws.sample(step, images, rate);
        let clipped = clipping::clipped_sum(&network, parameters, &dataset, &sample, max_norm, || descent.tick())?;
        let divisor = match params.divide_by {
            DivideBy::Sample if !sample.is_empty() => sample.len() as f64,
            _ => params.batch_real as f64,
        };
        let noise_P = draws.noise(step, network.parameter_count());
        let private = clipping::noised(&network, &clipped.sum, &noise_P, budget.noise * max_norm, divisor)?;
        let shown = (&set.images, &set.labels);
        let matched = matching::match_gradient(&network, parameters, shown, &private, params.distance, chunk)?;
        descent.descend(&matched.loss, &matched.gradient_MCHW)?;
    }
    Ok(outputs(&descent, &budget, &params, inputs, rate, planned))
}

/// The probability of an image to be in a sample.
fn sampling_rate(dataset: &Dataset, batch_real: i64) -> Result<f64> {
    let images = dataset.len();
    ensure!(
        batch_real <= images,
        "batch_real = {batch_real}, but there are only {images} real images; lower batch_real"
    );
    ensure!(
        dataset.normalisation.whitening.is_none(),
        "the real images are whitened, and the whitening, which travels with every synthetic set, shows their mean and \
         covariance; decode them without whitening"
    );
    Ok(batch_real as f64 / images as f64)
}

/// The draws of this run and no other.
fn draws(ctx: &Context, inputs: &Inputs, params: &Params) -> Result<Draws> {
    let digest = |name: &str| Ok::<_, anyhow::Error>(inputs.one(name)?.digest.to_string());
    let start = if inputs.has("start") { digest("start")? } else { String::new() };
    let run = serde_json::to_string(params)? + &digest("real")? + &start;
    let secret = if inputs.has("secret") { Some(inputs.bytes("secret")?) } else { None };
    if secret.is_none() {
        ctx.warn(
            "samples and noise come from the seed alone: whoever knows it can take the noise away. Keep the seed to \
             yourself, or connect a file of random bytes as `secret`",
        );
    }
    Draws::new(ctx.seed, secret.as_ref().map(|bytes| bytes.as_slice()), &run)
}

fn outputs(descent: &Descent, budget: &Budget, params: &Params, inputs: &Inputs, rate: f64, planned: u64) -> Outputs {
    let spent = budget.spent(budget.steps);
    let cost: Vec<_> = descent.curve().iter().map(|&(step, _)| (step, budget.spent(step).epsilon)).collect();
    let privacy = json!({
        "epsilon": spent.epsilon,
        "delta": params.delta,
        "order": spent.order,
        "target_epsilon": params.target_epsilon,
        "noise_multiplier": budget.noise,
        "max_norm": params.max_norm,
        "sampling_rate": rate,
        "private_steps": budget.steps,
        "planned_steps": planned,
        "neighbours": "one image more or less",
        "not_covered": ["number of images", "mean and standard deviation of the normalisation"],
        "mechanism": "Gaussian noise on clipped gradients of Poisson samples",
        "accountant": "Renyi, orders 1.1 to 10.9 and 12 to 63",
        "divided_by": params.divide_by,
        "draws_from": if inputs.has("secret") { "seed and secret" } else { "seed" },
        "start": if inputs.has("start") { "given, said to be public" } else { "noise" },
    });
    let (seconds, speed) = descent.times();
    let mut outputs = Outputs::default()
        .tensors("synthetic", descent.set().to_file())
        .json("curve", ArtifactType::Metrics, json!({ "curves": { "loss": descent.curve(), "epsilon": cost } }))
        .json("privacy", ArtifactType::Metrics, privacy)
        .metric("epsilon", spent.epsilon)
        .metric("delta", params.delta)
        .metric("noise_multiplier", budget.noise)
        .metric("private_steps", budget.steps as f64)
        .metric("seconds", seconds)
        .metric("iterations_per_second", speed);
    if let (Some(first), Some(last)) = (descent.curve().first(), descent.curve().last()) {
        outputs = outputs.metric("loss_first", first.1).metric("loss_last", last.1);
    }
    outputs
}

impl Params {
    fn network(&self, dataset: &Dataset) -> Result<Network> {
        let Params { width: filters, depth, norm, activation, pooling, .. } = *self;
        let overrides = Overrides { width: filters, depth, norm, activation, pooling };
        let [channels, height, width] = dataset.image_shape();
        let spec = NetworkSpec::named(&self.arch, &overrides, channels, [height, width], dataset.classes)?;
        let network = Network::new(&spec)?;
        ensure!(
            !network.has_batch_statistics(),
            "norm = \"batch\" mixes the images of a batch, so that no image has a gradient of its own that could be \
             clipped; take \"instance\", \"group\", \"layer\" or \"none\""
        );
        Ok(network)
    }
}
