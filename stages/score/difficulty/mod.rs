//! `score.difficulty`: a difficulty score for every image of a data set, the mean over networks that were trained on
//! it. This file trains, scores and writes; the scores are defined in `measure.rs`, the loop over a network's images is
//! in `scoring.rs`, and the state of an interrupted run in `state.rs`.

pub mod measure;
mod picture;
mod scoring;
mod state;

use crate::artifact::{Prepared, Scores};
use crate::context::{Context, Inputs, Outputs};
use crate::params::NetworkParams;
use crate::training::{Objective, State, TrainingParams};
use anyhow::{Context as _, Result, ensure};
use ddpipe_interface::ArtifactType;
use ddpipe_nn::metrics::mean_std;
use ddpipe_nn::stream::stream;
use measure::Measure;
use rand::Rng;
use scoring::ScoringRun;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use state::{Finished, ScoringState};
use tch::{Device, Kind, Tensor};

/// The number of images that a network scores at a time; progress is reported after each of these batches.
const BATCH: i64 = 256;

/// The parameters: the score, the number of networks, and their training.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    method: Method,
    uncertainty: Uncertainty,
    networks: u64,
    shown: usize,
    #[serde(flatten)]
    network: NetworkParams,
    #[serde(flatten)]
    training: TrainingParams,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Method {
    El2n,
    Grand,
    GrandFull,
    Uncertainty,
    Forgetting,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Uncertainty {
    LeastConfidence,
    Entropy,
    Margin,
}

/// Runs the stage.
pub fn run(ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    let real = inputs.dataset("real")?;
    ensure!(!real.is_empty() && real.classes > 1, "there is nothing to tell apart: no images, or one class");
    let (method, measure, networks) = (params.method(), params.measure(), params.networks);
    let shown = params.shown;
    let Params { network, training, .. } = params;
    ensure!(
        measure.is_some() || training.epochs > 1,
        "forgetting is counted from one epoch to the next; give epochs = 2 or more"
    );
    let network = network.network(real.image_shape(), real.classes)?;
    let steps = training.settings(0).steps(real.len());
    let scoring_steps = if measure.is_some() { (real.len() as u64).div_ceil(BATCH as u64) } else { 0 };
    let total = (steps + scoring_steps).checked_mul(networks).context("networks times epochs is too large")?;
    let run = ScoringRun { ctx, network: &network, real: &real, measure, steps, each: steps + scoring_steps, total };

    let forgetting = measure.is_none();
    let (mut progress, mut running) = match ctx.resume() {
        Some(checkpoint) => {
            let (progress, state) = ScoringState::restore(&checkpoint, &network, forgetting)?;
            (progress, Some(state))
        }
        None => (ScoringState::new(real.len(), ctx.device, forgetting), None),
    };
    while (progress.finished.len() as u64) < networks {
        let number = progress.finished.len() as u64;
        let seed: u64 = stream(ctx.seed, "network", number).generator().random();
        let state = match running.take() {
            Some(state) => state,
            None => State::new(network.init(stream(seed, "init", 0).generator(), ctx.device)?),
        };
        let state = run.train(&training, seed, state, &progress)?;
        let scores = run.scores(&state, training.epochs, &mut progress)?;
        let last = state.history.last().context("no epoch was run")?;
        let (train_accuracy, loss) = (last.train_accuracy, last.loss);
        ctx.log(format!("network {} of {networks}: training accuracy {train_accuracy:.4}", number + 1));
        progress.finish(&scores, Finished { train_accuracy, loss })?;
    }

    let scores = progress.sum.f_div_scalar(networks as f64)?;
    ensure!(bool::try_from(scores.f_isfinite()?.f_all()?)?, "the scores are not all finite; a lower lr may help");
    let scores = Scores {
        scores: scores.f_to_kind(Kind::Float)?,
        labels: real.labels.shallow_clone(),
        classes: real.classes,
        method: method.clone(),
        origin: real.origin.clone(),
        prepared: Some(Prepared::of(&real.normalisation)?),
    };
    let (mean, std) = mean_std(&values(&scores.scores)?);
    let accuracies: Vec<f64> = progress.finished.iter().map(|network| network.train_accuracy).collect();
    let order = scores.easy_to_hard()?;
    let document = json!({
        "origin": real.origin,
        "method": method,
        "networks": networks,
        "network": network.spec(),
        "parameters": network.parameter_count(),
        "training": training.protocol(Objective::CrossEntropy),
        "images": real.len(),
        "mean": mean,
        "std": std,
        "per_class": per_class(&scores, &order, shown)?,
        "train_accuracies": accuracies,
        "losses": progress.finished.iter().map(|network| network.loss).collect::<Vec<_>>(),
    });
    Ok(Outputs::default()
        .tensors("scores", scores.to_file())
        .json("metrics", ArtifactType::Metrics, document)
        .bytes("picture", ArtifactType::Image, picture::ends(&real, &order, shown)?)
        .metric("score_mean", mean)
        .metric("score_std", std)
        .metric("train_accuracy", mean_std(&accuracies).0)
        .metric("seconds", ctx.seconds()))
}

/// The JSON entry of every class: mean, lowest and highest score, and the positions of its easiest and hardest images.
fn per_class(scores: &Scores, order: &[Vec<i64>], shown: usize) -> Result<Vec<Value>> {
    let all = values(&scores.scores)?;
    let about = |(class, positions): (usize, &Vec<i64>)| {
        let of: Vec<f64> = positions.iter().map(|&position| all[position as usize]).collect();
        let shown = shown.min(positions.len());
        json!({
            "class": class,
            "images": of.len(),
            "mean": (!of.is_empty()).then(|| mean_std(&of).0),
            "lowest": of.first(),
            "highest": of.last(),
            "easiest": &positions[..shown],
            "hardest": positions[positions.len() - shown..].iter().rev().collect::<Vec<_>>(),
        })
    };
    Ok(order.iter().enumerate().map(about).collect())
}

fn values(scores: &Tensor) -> Result<Vec<f64>> {
    Ok(Vec::<f64>::try_from(scores.f_to_kind(Kind::Double)?.f_to_device(Device::Cpu)?)?)
}

impl Params {
    fn measure(&self) -> Option<Measure> {
        Some(match (self.method, self.uncertainty) {
            (Method::El2n, _) => Measure::El2n,
            (Method::Grand, _) => Measure::Grand,
            (Method::GrandFull, _) => Measure::GrandFull,
            (Method::Uncertainty, Uncertainty::LeastConfidence) => Measure::LeastConfidence,
            (Method::Uncertainty, Uncertainty::Entropy) => Measure::Entropy,
            (Method::Uncertainty, Uncertainty::Margin) => Measure::Margin,
            (Method::Forgetting, _) => return None,
        })
    }

    /// The name of the method as it is written in a manifest, with the kind of uncertainty where there is one.
    fn method(&self) -> String {
        let word = |value: Value| value.as_str().unwrap_or_default().to_string();
        match self.method {
            Method::Uncertainty => format!("uncertainty {}", word(json!(self.uncertainty))),
            method => word(json!(method)),
        }
    }
}
