//! Trains one network on labelled images and measures it after every epoch. The loop itself is in `common::train`.

use crate::artifact::{Dataset, Model};
use crate::common::metrics::{AgreementReport, Confusion, TestScores};
use crate::common::network::Network;
use crate::common::stream::stream;
use crate::common::train::{self, EpochResult, LossReader, Observer, State, TrainingParams, TrainingSet};
use crate::context::{Checkpoint, Context, Inputs, Outputs};
use anyhow::{Context as _, Result};
use ddpipe_interface::ArtifactType;
use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::json;
use std::time::Instant;
use tch::Tensor;

/// Which network, how it is trained, and on how many of the images.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    arch: String,
    width: Option<i64>,
    depth: Option<i64>,
    activation: Option<crate::common::network::Activation>,
    norm: Option<crate::common::network::Norm>,
    pooling: Option<crate::common::network::Pooling>,
    epochs: u64,
    batch_size: i64,
    lr: f64,
    learned_lr: bool,
    momentum: f64,
    weight_decay: f64,
    schedule: train::Schedule,
    loss: train::Criterion,
    augment: train::Augmentation,
    strategy: crate::common::augment::Strategy,
    subset: Option<usize>,
}

impl Params {
    fn training(self) -> TrainingParams {
        let Params { arch, width, depth, activation, norm, pooling, .. } = self;
        let Params { epochs, batch_size, lr, momentum, weight_decay, schedule, augment, strategy, .. } = self;
        TrainingParams {
            arch,
            width,
            depth,
            activation,
            norm,
            pooling,
            epochs,
            batch_size,
            lr,
            momentum,
            weight_decay,
            schedule,
            augment,
            strategy,
            objective: train::Objective::CrossEntropy,
        }
    }
}

/// Trains the network.
pub fn run(ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    let started = Instant::now();
    let (subset, learned_lr, loss) = (params.subset, params.learned_lr, params.loss);
    let mut set = TrainingSet::of(inputs, "train")?;
    let params = params.training().with_learned_lr(learned_lr, &set)?.with_loss(loss, &set)?;
    if let (Some(amount), TrainingSet::Real(real)) = (subset, &set) {
        set = TrainingSet::Real(drawn(real, ctx.seed, amount)?);
    }
    let test = if inputs.has("test") { Some(inputs.dataset("test")?) } else { None };
    if let Some(test) = &test {
        train::fits((set.image_shape(), set.classes()), (test.image_shape(), test.classes), "test")?;
    }
    let network = params.network(set.image_shape(), set.classes())?;
    let (state, before, tested) = match ctx.resume() {
        Some(Checkpoint { tensors, state, .. }) => {
            let seconds = |name: &str| state[name].as_f64().unwrap_or(0.0);
            (State::restore(&network, &tensors, &state["training"])?, seconds("seconds"), seconds("tested"))
        }
        None => (State::new(network.init(stream(ctx.seed, "init", 0).generator(), ctx.device)?), 0.0, 0.0),
    };
    let settings = params.settings(ctx.seed);
    let images = set.examples().count();
    let seconds = || before + started.elapsed().as_secs_f64();
    let mut watch = Watch {
        ctx,
        network: &network,
        objective: params.objective,
        test: test.as_ref(),
        scores: None,
        loss: LossReader::default(),
        done: state.epoch * settings.steps_per_epoch(images) + state.batch,
        total: settings.steps(images),
        seconds: &seconds,
        tested,
    };
    let augment = params.augmentation(&network, ctx.seed);
    let direction = params.objective.direction();
    let state =
        train::train_along(&direction, &network, state, set.examples(), &settings, augment.as_deref(), &mut watch)?;

    let last = state.history.last().context("no epoch was run")?;
    let tensors = network.state_dict(&state.parameters).into_iter().collect();
    let model = Model { network: serde_json::to_value(network.spec())?, tensors };
    let (scores, confusion) = (watch.scores.as_ref(), watch.scores.as_ref().map(|scores| &scores.confusion));
    let mut document = json!({
        "origin": set.origin(),
        "network": network.spec(),
        "parameters": network.parameter_count(),
        "flops": network.flops(),
        "images": images,
        "accuracy": last.accuracy,
        "train_accuracy": last.train_accuracy,
        "loss": last.loss,
        "balanced_accuracy": confusion.map(Confusion::balanced_accuracy),
        "macro_f1": confusion.map(Confusion::macro_f1),
        "auc": scores.and_then(|scores| scores.auc),
        "ece": scores.and_then(|scores| scores.ece),
        "per_class": confusion.map(Confusion::per_class),
        "confusion": confusion.map(|confusion| &confusion.rows),
        "epochs": state.history,
    });
    let agreement = scores.and_then(|scores| AgreementReport::of([scores.agreement.as_ref()].into_iter()));
    for (name, groups) in agreement.iter().flat_map(|report| &report.documents) {
        document[*name] = groups.clone();
    }
    let measured = [
        ("accuracy", last.accuracy),
        ("balanced_accuracy", confusion.map(Confusion::balanced_accuracy)),
        ("macro_f1", confusion.map(Confusion::macro_f1)),
        ("auc", scores.and_then(|scores| scores.auc)),
        ("ece", scores.and_then(|scores| scores.ece)),
        ("images_per_second", scores.map(TestScores::images_per_second)),
    ];
    let outputs = measured.into_iter().fold(Outputs::default(), |outputs, (name, value)| match value {
        Some(value) => outputs.metric(name, value),
        None => outputs,
    });
    let by_majority = agreement.into_iter().flat_map(|report| report.scalars);
    let outputs = by_majority.fold(outputs, |outputs, (name, accuracy)| outputs.metric(&name, accuracy));
    let seconds = seconds();
    Ok(outputs
        .tensors("model", model.to_file())
        .json("metrics", ArtifactType::Metrics, document)
        .metric("train_accuracy", last.train_accuracy)
        .metric("loss", last.loss)
        .metric("parameters", network.parameter_count() as f64)
        .metric("flops", network.flops() as f64)
        .metric("train_seconds", seconds - watch.tested)
        .metric("seconds", seconds))
}

/// So many images of every class (all, where there are fewer), each class drawn from a stream of its own.
fn drawn(real: &Dataset, seed: u64, amount: usize) -> Result<Dataset> {
    let mut chosen = Vec::new();
    for (class, positions) in real.positions_by_class()?.iter().enumerate() {
        chosen.extend(stream(seed, "subset", class as u64).choose(positions, amount));
    }
    let chosen = Tensor::from_slice(&chosen).to_device(real.images.device());
    Ok(Dataset {
        images: real.images.f_index_select(0, &chosen)?,
        labels: real.labels.f_index_select(0, &chosen)?,
        agreement: real.agreement.as_ref().map(|votes| votes.f_index_select(0, &chosen)).transpose()?,
        normalisation: real.normalisation.clone(),
        origin: real.origin.clone(),
        ..*real
    })
}

struct Watch<'a> {
    ctx: &'a Context,
    network: &'a Network,
    objective: train::Objective,
    test: Option<&'a Dataset>,
    scores: Option<TestScores>,
    loss: LossReader,
    done: u64,
    total: u64,
    seconds: &'a dyn Fn() -> f64,
    /// Seconds of all test passes.
    tested: f64,
}

impl Watch<'_> {
    fn checkpoint(&self, state: &State, step: u64) -> Checkpoint {
        let mut tensors = IndexMap::new();
        let training = state.store(self.network, &mut tensors);
        let state = json!({ "training": training, "seconds": (self.seconds)(), "tested": self.tested });
        Checkpoint { step, tensors, state }
    }
}

impl Observer for Watch<'_> {
    fn step(&mut self, state: &State, done: u64, total: u64, loss: &Tensor) -> Result<()> {
        (self.done, self.total) = (done, total);
        let loss = self.loss.read(loss);
        self.ctx.step(done, total, "steps", loss, || self.checkpoint(state, done))
    }

    fn epoch(&mut self, state: &State, result: &EpochResult) -> Result<Option<f64>> {
        self.ctx.metric("loss", result.epoch, result.loss);
        self.ctx.metric("train_accuracy", result.epoch, result.train_accuracy);
        let Some(test) = self.test else { return Ok(None) };
        let scores = train::evaluate(self.network, &state.parameters, test, || {
            self.ctx.step(self.done, self.total, "steps", None, || self.checkpoint(state, self.done))
        })?;
        let scores = self.objective.scored(scores);
        self.tested += scores.seconds;
        let accuracy = scores.confusion.accuracy();
        self.ctx.metric("accuracy", result.epoch, accuracy);
        self.scores = Some(scores);
        Ok(Some(accuracy))
    }
}
