//! `search.candidates`: trains the networks of a search space on one set, one after another, and tests each. `space.rs`
//! lists the networks, `candidate.rs` names them, `trial.rs` trains one. `search.nas_proxy` compares the rankings that
//! result.

pub mod candidate;
pub mod space;
mod trial;

use crate::context::{Context, Inputs, Outputs};
use crate::training::{self, Settings, State, TrainingParams, TrainingSet};
use anyhow::{Context as _, Result};
use candidate::Candidate;
use ddpipe_interface::ArtifactType;
use ddpipe_nn::metrics::mean_std;
use ddpipe_nn::network::{Activation, Network, NetworkSpec, Norm, Pooling};
use serde::{Deserialize, Serialize};
use serde_json::json;
use space::{Lists, Space};
use trial::{Done, Trial};

/// The parameters: the search space, the candidates that are trained, and their training.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    space: space::Form,
    widths: Option<Vec<i64>>,
    depths: Option<Vec<i64>>,
    norms: Option<Vec<Norm>>,
    activations: Option<Vec<Activation>>,
    poolings: Option<Vec<Pooling>>,
    kernels: Option<Vec<i64>>,
    candidates: Option<usize>,
    space_seed: u64,
    part: usize,
    parts: usize,
    max_steps: Option<u64>,
    #[serde(flatten)]
    training: TrainingParams,
}

/// The result of training and testing one candidate; an entry of `candidates` in the document of the stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tested {
    /// The index of the candidate in the whole search space, from 0.
    pub index: u64,
    /// The name of the network, as [`candidate::name`] writes it.
    pub name: String,
    /// The description of the network.
    pub network: NetworkSpec,
    /// The number of trainable parameters.
    pub parameters: i64,
    /// Floating-point operations for one image: 2 per multiply-add.
    pub flops: i64,
    /// The accuracy on the test images, from 0 to 1.
    pub accuracy: f64,
    /// Mean training loss over the last epoch; `None` when it was not finite.
    pub loss: Option<f64>,
    /// Whether the training ended early because the loss was no longer finite.
    pub diverged: bool,
}

impl Params {
    fn lists(&mut self) -> Lists {
        Lists {
            widths: self.widths.take(),
            depths: self.depths.take(),
            norms: self.norms.take(),
            activations: self.activations.take(),
            poolings: self.poolings.take(),
            kernels: self.kernels.take(),
        }
    }

    /// The settings of the training of one candidate, whose random streams have this seed.
    fn settings(&self, seed: u64) -> Settings {
        Settings { max_steps: self.max_steps, ..self.training.settings(seed) }
    }
}

/// Runs the stage: trains and tests the candidates of this part. A checkpoint holds the finished candidates and the one
/// in training.
pub fn run(ctx: &Context, inputs: &Inputs, mut params: Params) -> Result<Outputs> {
    let space = Space::new(params.space, params.lists())?;
    let candidates = space.candidates(params.candidates, params.space_seed)?;
    let candidates = candidate::part_of(candidates, params.part, params.parts)?;
    let set = TrainingSet::of(inputs, "train")?;
    let test = training::test_set(ctx, inputs, set.normalisation(), set.class_names())?
        .context("input \"test\" is not connected")?;
    training::fits((set.image_shape(), set.classes()), (test.image_shape(), test.classes), "test")?;
    let networks = lay(&candidates, &set)?;

    let mut done = Done::default();
    let mut running = None;
    if let Some(checkpoint) = ctx.resume() {
        done = checkpoint.noted("candidates")?;
        let network = networks.get(done.finished.len()).context("the checkpoint has too many candidates")?;
        running = Some(State::resume(network, &checkpoint)?);
    }
    let total = networks.len() as u64;
    let trial = Trial { ctx, set: &set, test: &test, params: &params, total };
    for (candidate, network) in candidates.iter().zip(&networks).skip(done.finished.len()) {
        let (tested, test_seconds) = trial.run(candidate, network, &done, running.take())?;
        done.test_seconds += test_seconds;
        let number = done.finished.len() as u64;
        ctx.metric("accuracy", number, tested.accuracy);
        let how = if tested.diverged { ", the loss was no longer finite" } else { "" };
        ctx.log(format!("{}: accuracy {:.4}{how} ({} of {total})", tested.name, tested.accuracy, number + 1));
        done.finished.push(tested);
    }

    let Done { finished, test_seconds } = done;
    let accuracies: Vec<f64> = finished.iter().map(|tested| tested.accuracy).collect();
    let (mean, std) = mean_std(&accuracies);
    let best = accuracies.iter().copied().fold(0.0, f64::max);
    let diverged = finished.iter().filter(|tested| tested.diverged).count();
    let images = set.examples().count();
    let document = json!({
        "origin": set.origin(),
        "images": images,
        "steps": params.settings(0).steps(images),
        "space": {
            "form": space.form(),
            "size": space.size(),
            "candidates": params.candidates,
            "space_seed": params.space_seed,
        },
        "part": params.part,
        "parts": params.parts,
        "candidates": finished,
    });
    Ok(Outputs::default()
        .json("metrics", ArtifactType::Metrics, document)
        .metric("candidates", total as f64)
        .metric("diverged", diverged as f64)
        .metric("best_accuracy", best)
        .metric("mean_accuracy", mean)
        .metric("accuracy_std", std)
        .metric("test_seconds", test_seconds)
        .metric("seconds", ctx.seconds()))
}

/// Builds the networks of all candidates, so that an architecture that does not fit the images is an error before any
/// network is trained.
fn lay(candidates: &[Candidate], set: &TrainingSet) -> Result<Vec<Network>> {
    let ([channels, height, width], classes) = (set.image_shape(), set.classes());
    let network = |candidate: &Candidate| {
        let architecture = candidate.architecture.clone();
        let spec = NetworkSpec { architecture, channels, image: [height, width], classes };
        Network::new(&spec).with_context(|| format!("candidate {:?}", candidate::name(&candidate.architecture)))
    };
    candidates.iter().map(network).collect()
}
