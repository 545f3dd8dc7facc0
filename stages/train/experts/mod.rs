//! `train.experts`: trains networks on real images and stores their parameters after every epoch (trajectories), for
//! trajectory matching. The training loop is in `training`; the gradient for flat trajectories is in `flat.rs`, the
//! images of each epoch in `curriculum.rs`, and one epoch of training in `epoch.rs`.

pub mod curriculum;
mod epoch;
pub mod flat;

use crate::artifact::{Scores, TrajectoryShape, TrajectoryWriter, WrittenVector};
use crate::context::{Context, Inputs, Outputs};
use crate::params::{DsaParams, NetworkParams};
use crate::training::{self, EpochResult, Experts, Progress, State};
use anyhow::{Context as _, Result};
use curriculum::Curriculum;
use ddpipe_interface::ArtifactType;
use ddpipe_nn::augment::TrajectoryAugment;
use ddpipe_nn::metrics::mean_std;
use ddpipe_nn::stream::stream;
use epoch::ExpertTraining;
use rand::Rng;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The parameters: the network, its training, and the number of experts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    experts: u64,
    epochs: u64,
    method: Method,
    batch_size: i64,
    lr: f64,
    momentum: f64,
    weight_decay: f64,
    decay: bool,
    rho: f64,
    alpha: f64,
    adaptive: bool,
    init_share: f64,
    all_epoch: u64,
    drop_epochs: Vec<u64>,
    drop_shares: Vec<f64>,
    #[serde(flatten)]
    augment: DsaParams,
    #[serde(flatten)]
    network: NetworkParams,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Method {
    Plain,
    Flat,
}

/// What is kept of a finished expert beside its parameters: the results of its epochs, and its test accuracy.
#[derive(Debug, Serialize, Deserialize)]
struct Finished {
    epochs: Vec<EpochResult>,
    accuracy: Option<f64>,
}

/// Runs the stage: trains the experts one after another and writes their parameters to one file as they are trained.
pub fn run(ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    let real = inputs.dataset("train")?;
    let test = training::test_set(ctx, inputs, &real.normalisation, &real.class_names)?;
    if let Some(test) = &test {
        training::fits((real.image_shape(), real.classes), (test.image_shape(), test.classes), "test")?;
    }
    let network = params.network(&real)?;
    let steps = params.epochs.checked_mul(real.len().max(0) as u64).and_then(|steps| steps.checked_mul(params.experts));
    steps.context("experts times epochs is too large")?;
    let scheduled = match inputs.has("difficulty") {
        true => Some((params.data_schedule(), Scores::from_file(&*inputs.tensors("difficulty")?)?)),
        false => None,
    };
    let protocol = params.protocol(scheduled.as_ref().map(|(schedule, scores)| (schedule, scores.method.as_str())));
    let curriculum =
        Curriculum::new(&real, params.epochs, params.batch_size, scheduled).context("input \"difficulty\"")?;
    let shape = TrajectoryShape {
        experts: params.experts,
        epochs: params.epochs,
        parameters: network.parameter_count() as u64,
    };

    let file = ctx.lasting("trajectories.safetensors")?;
    let length = file.metadata().context("could not look at the file of trajectories")?.len();
    // A checkpoint can only be used together with the parameters that were written before it.
    let resumed = if length > 0 { ctx.resume() } else { None };
    if resumed.is_none() {
        file.set_len(0).context("could not begin a file of trajectories")?;
    }
    let about = Experts::about(&network, &real.origin, &real.normalisation, &protocol)?;
    let writer = TrajectoryWriter::new(file, &about, shape)?;
    let (mut finished, mut running): (Vec<Finished>, Option<State>) = (Vec::new(), None);
    if let Some(checkpoint) = resumed {
        let written: Vec<WrittenVector> = checkpoint.noted("written")?;
        match writer.holds(&written)? {
            true => {
                finished = checkpoint.noted("finished")?;
                running = Some(State::resume(&network, &checkpoint)?);
            }
            false => ctx.start_over("the trajectories written before the interruption are damaged"),
        }
    }

    while (finished.len() as u64) < params.experts {
        let number = finished.len() as u64;
        let seed: u64 = stream(ctx.seed, "expert", number).generator().random();
        let mut state = match running.take() {
            Some(state) => state,
            None => {
                let state = State::new(network.init(stream(seed, "init", 0).generator(), ctx.device)?);
                writer.put(number, 0, &state.parameters.flat())?;
                state
            }
        };
        let augment = params.augment.strategy();
        let augment = augment.map(|strategy| TrajectoryAugment { strategy: strategy.clone(), seed });
        let total = params.experts * curriculum.total();
        let done = |state: &State| curriculum.before(state.epoch) + state.batch;
        let mut progress = Progress::new(ctx, &network, total, done)
            .after(number * curriculum.total())
            .saving(|checkpoint, _| {
                // The parameters have to be on disk before a checkpoint refers to them.
                writer.settle()?;
                checkpoint.note("finished", &finished);
                checkpoint.note("written", writer.written());
                Ok(())
            })
            .on_epoch(|report, state, result| {
                writer.put(number, result.epoch + 1, &state.parameters.flat())?;
                report.metric("train_accuracy", result.epoch, result.train_accuracy);
                Ok(None)
            });
        let training =
            ExpertTraining { params: &params, network: &network, real: &real, curriculum: &curriculum, augment, seed };
        while state.epoch < params.epochs {
            state = training.epoch(state, &mut progress)?;
        }
        let accuracy = match &test {
            Some(test) => {
                let scores =
                    training::evaluate(&network, &state.parameters, test, || progress.report().tell(&state, None))?;
                Some(scores.confusion.accuracy())
            }
            None => None,
        };
        let accuracy_text = accuracy.map_or(String::new(), |accuracy| format!(", test accuracy {accuracy:.4}"));
        let last = state.history.last().context("no epoch was run")?;
        ctx.log(format!(
            "expert {} of {}: training accuracy {:.4}{accuracy_text}",
            number + 1,
            params.experts,
            last.train_accuracy
        ));
        drop(progress);
        finished.push(Finished { epochs: state.history, accuracy });
    }
    writer.settle()?;

    let accuracies: Option<Vec<f64>> = finished.iter().map(|expert| expert.accuracy).collect();
    let train: Vec<f64> = finished.iter().filter_map(|expert| Some(expert.epochs.last()?.train_accuracy)).collect();
    let accuracy = accuracies.as_deref().map(mean_std);
    let document = json!({
        "origin": real.origin,
        "network": network.spec(),
        "parameters": network.parameter_count(),
        "training": protocol,
        "accuracies": accuracies,
        "accuracy": accuracy.map(|(mean, _)| mean),
        "train_accuracy": mean_std(&train).0,
        "epochs": finished.iter().map(|expert| &expert.epochs).collect::<Vec<_>>(),
    });
    let outputs = Outputs::default()
        .file("trajectories", ArtifactType::Trajectories, writer.finish())
        .json("metrics", ArtifactType::Metrics, document)
        .metric("train_accuracy", mean_std(&train).0)
        .metric("experts", params.experts as f64)
        .metric("parameters", network.parameter_count() as f64)
        .metric("seconds", ctx.seconds());
    Ok(match accuracy {
        Some((mean, _)) => outputs.metric("accuracy", mean),
        None => outputs,
    })
}
