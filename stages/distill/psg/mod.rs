//! `distill.psg`: moves synthetic images until a network's gradient on them is like its gradient on the real ones, of
//! which it sees nothing but clipped sums with noise. Reads, loops, writes. The mechanism is in `clipping.rs` and
//! `draws.rs`, its cost in `accountant.rs` and `budget.rs`; how gradients are compared is in `gradient_matching/`.

#![expect(non_snake_case, reason = "tensors carry their shape in their names; each file has its legend")]

pub mod accountant;
pub mod budget;
pub mod clipping;
mod draws;
mod start;

use crate::artifact::{Dataset, SyntheticSet};
use crate::context::{Checkpoint, Context, Inputs, Outputs};
use crate::distill::gradient_matching::{GradientMatching, InnerNetwork, Loops, match_gradient_in_chunks};
use crate::distill::synthesis::{ClassAugmentation, Learnable, Length, Recorder};
use crate::params::{DsaParams, NetworkParams};
use crate::training::{Batch, Examples};
use anyhow::{Result, ensure};
use budget::{Budget, PrivacyTarget};
use clipping::{GradientMode, clipped_sum};
use ddpipe_interface::ArtifactType;
use ddpipe_nn::ahead::Ahead;
use ddpipe_nn::network::{Chunk, Network};
use ddpipe_nn::pieces::Graph;
use ddpipe_nn::transfer::{Parcel, Place};
use draws::Draws;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tch::{Device, TchError, Tensor};

/// Two versions compute different numbers, so they share no draws: under the same noise the difference would show.
const VERSION: &str = "version 4";

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
    pub divide_by: DivideBy,
    pub batch_loop: u64,
    #[serde(flatten)]
    pub matching: GradientMatching,
    #[serde(flatten)]
    pub augment: DsaParams,
    #[serde(flatten)]
    pub network: NetworkParams,
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
    let matching = &params.matching;
    let (rate, images) = (sampling_rate(&dataset, matching.batch_real)?, dataset.len());
    let network = network(&params.network, &dataset)?;
    let start = start::start(ctx, inputs, &dataset, params.ipc, params.start_is_public)?;
    let loops = Loops::of(start.ipc, matching.outer_loop, matching.inner_loop)?;
    let loops = Loops { batch: params.batch_loop, ..loops };
    let Params { target_epsilon: epsilon, delta, noise_multiplier: noise, max_norm, .. } = params;
    let planned = loops.steps(matching.iterations)?;
    let budget = Budget::new(PrivacyTarget { rate, planned, epsilon, delta, noise })?;
    let draws = draws(ctx, inputs, &params)?;
    if budget.steps < planned {
        ctx.warn(format!("the budget ends the run after {} of {planned} steps", budget.steps));
    }
    if delta * images as f64 >= 1.0 {
        ctx.warn(format!(
            "delta = {delta} is not below 1 / {images} images: it allows one of them to be published whole"
        ));
    }

    let strategy = params.augment.strategy();
    let [_, height, width] = dataset.image_shape();
    // One draw for all images of a step, real and synthetic: it may depend on anything but them.
    let draw = |step| ClassAugmentation::draw(strategy, 1, [height, width], ctx.seed, step);
    let mode = GradientMode::usual(&network, ctx.device);
    let chunk = matching.chunk.map_or(network.chunk(ctx.device, Graph::Kept), Chunk);

    let checkpoint = ctx.resume();
    let length = Length { unit: "step", ..Length::iterations(budget.steps) };
    let mut run = Recorder::new(ctx, &start, length, "lr_img", checkpoint.as_ref())?;
    let mut synthetic = Learnable::images(&start, matching.lr_img, matching.momentum_img, checkpoint.as_ref())?;
    let inner_loop = matching.inner_loop(loops.inner, strategy);
    let mut inner = InnerNetwork::new(ctx, &network, inner_loop, checkpoint.as_ref())?;
    let save = |checkpoint: &mut Checkpoint, synthetic: &Learnable, inner: &InnerNetwork| {
        synthetic.store_images(checkpoint);
        inner.store(checkpoint);
    };
    let parameters = network.parameter_count();
    let mut drawn = Ahead::new(ctx.device, budget.steps, move |step| Drawn::of(&draws, step, images, rate, parameters));
    for at in loops.positions(run.done(), budget.steps) {
        let set = start.with_images(synthetic.value.shallow_clone());
        let tick = || run.tick(|checkpoint| save(checkpoint, &synthetic, &inner));
        inner = inner.ready_for(at, &set, tick, Ok)?;
        let parameters = inner.parameters()?;

        // What is seen of the real images: the sum of their clipped gradients, with noise.
        let Drawn { parcel, positions, noise, size } = drawn.get(at.step, at.step + 1);
        let augmented = Augmented { dataset: &dataset, augmentation: draw(at.step) };
        let tick = || run.tick(|checkpoint| save(checkpoint, &synthetic, &inner));
        let sent = parcel.send(ctx.device);
        let (positions, noise_P) = (sent.get(positions), sent.get(noise));
        let clipped = clipped_sum(&network, parameters, &augmented, &positions, max_norm, mode, tick)?;
        let divisor = match params.divide_by {
            DivideBy::Sample if size > 0 => size as f64,
            _ => matching.batch_real as f64,
        };
        let private = clipping::noised(&network, &clipped.sum, &noise_P, budget.noise * max_norm, divisor)?;

        // One term covers all classes: the private gradient is that of a mixed sample.
        let matched = match_gradient_in_chunks(
            &network,
            parameters,
            &synthetic.value,
            &start.labels,
            |pixels| augmented.augmentation.apply(0, pixels),
            |gradient| matching.distance.between(&private, gradient),
            chunk,
        )?;
        synthetic.step(&matched.gradient)?;
        let recorded =
            run.record(&matched.distance, &[], &synthetic.value, |checkpoint| save(checkpoint, &synthetic, &inner));
        recorded.map_err(|error| inner.blamed(error))?;
    }
    Ok(outputs(run, &start.with_images(synthetic.value), &budget, &params, inputs, rate, planned))
}

/// The sample and the noise of a step, sent together.
struct Drawn {
    parcel: Parcel,
    positions: Place,
    noise: Place,
    /// Images of the sample.
    size: usize,
}

impl Drawn {
    fn of(draws: &Draws, step: u64, images: i64, rate: f64, parameters: i64) -> Self {
        let (mut parcel, sample) = (Parcel::default(), draws.sample(step, images, rate));
        let (positions, noise) = (parcel.add(&sample), parcel.add(&draws.noise(step, parameters)));
        Drawn { parcel, positions, noise, size: sample.len() }
    }
}

/// The real images under the augmentation of a step.
struct Augmented<'a> {
    dataset: &'a Dataset,
    augmentation: ClassAugmentation,
}

impl Examples for Augmented<'_> {
    fn count(&self) -> i64 {
        self.dataset.len()
    }

    fn at(&self, positions: &Tensor) -> Result<Batch, TchError> {
        let batch = self.dataset.at(positions)?;
        Ok(Batch { images: self.augmentation.apply(0, &batch.images), ..batch })
    }

    fn device(&self) -> Device {
        self.dataset.device()
    }
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
    let run = format!("{VERSION}{}{}{start}", serde_json::to_string(params)?, digest("real")?);
    let secret = if inputs.has("secret") { Some(inputs.bytes("secret")?) } else { None };
    if secret.is_none() {
        ctx.warn(
            "samples and noise come from the seed alone: whoever knows it can take the noise away. Keep the seed to \
             yourself, or connect a file of random bytes as `secret`",
        );
    }
    Draws::new(ctx.seed, secret.as_ref().map(|bytes| bytes.as_slice()), &run)
}

fn outputs(
    run: Recorder,
    set: &SyntheticSet,
    budget: &Budget,
    params: &Params,
    inputs: &Inputs,
    rate: f64,
    planned: u64,
) -> Outputs {
    let spent = budget.spent(budget.steps);
    let cost: Vec<_> = run.losses().iter().map(|&(step, _)| (step, budget.spent(step).epsilon)).collect();
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
    let curve = json!({ "curves": { "loss": run.losses(), "epsilon": cost } });
    run.outputs(set)
        .json("curve", ArtifactType::Metrics, curve)
        .json("privacy", ArtifactType::Metrics, privacy)
        .metric("epsilon", spent.epsilon)
        .metric("delta", params.delta)
        .metric("noise_multiplier", budget.noise)
        .metric("private_steps", budget.steps as f64)
}

/// The network, which has to leave the images of a batch apart.
fn network(params: &NetworkParams, dataset: &Dataset) -> Result<Network> {
    let network = params.network(dataset.image_shape(), dataset.classes)?;
    ensure!(
        !network.has_batch_statistics(),
        "norm = \"batch\" mixes the images of a batch, so that no image has a gradient of its own that could be \
         clipped; take \"instance\", \"group\", \"layer\" or \"none\""
    );
    Ok(network)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn draws_are_those_of_the_declared_version() {
        assert!(include_str!("stage.toml").lines().any(|line| line.replace(" =", "") == VERSION));
    }
    /// Samples and noise depend on the text of all parameters, see [`draws`]: a parameter more or fewer, or another order,
    /// changes the bytes. So it needs another version of the kind, even where its default changes nothing else.
    #[test]
    fn the_parameters_that_the_noise_depends_on_change_only_with_the_version() {
        let declared = crate::registry::find("distill.psg").unwrap().declared().unwrap();
        let defaults = declared.params.iter().filter_map(|(name, param)| Some((name.clone(), param.default.clone()?)));
        let defaults: std::collections::BTreeMap<_, _> = defaults.collect();
        let params: Params = serde_json::from_value(serde_json::json!(defaults)).unwrap();
        let text = serde_json::json!(params);
        let names: Vec<&str> = text.as_object().unwrap().keys().map(String::as_str).collect();
        let version_4 = "ipc start_is_public target_epsilon delta noise_multiplier max_norm divide_by batch_loop iterations \
                         outer_loop inner_loop lr_img momentum_img lr_net batch_real batch_train distance augment strategy \
                         arch width depth norm activation pooling";
        assert_eq!((declared.version, names.join(" ").as_str()), (4, version_4));
    }
}
