//! Trains one network on labelled images and measures it after every epoch; `train.teacher` is the same with other
//! defaults. The loop itself is in `common::train`, and so is what is told of the trained network.

use crate::artifact::Dataset;
use crate::common::metrics::TestScores;
use crate::common::network::{Network, NetworkParams};
use crate::common::train::{
    self, ClassWeights, EpochResult, Geometric, LossReader, Observer, State, TrainingParams, TrainingSet, Tuning,
};
use crate::context::{Checkpoint, Context, Inputs, Outputs};
use anyhow::Result;
use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::json;
use std::time::Instant;
use tch::Tensor;

/// Which network, how it is trained, and on how many of the images.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    #[serde(flatten)]
    network: NetworkParams,
    #[serde(flatten)]
    training: TrainingParams,
    learned_lr: bool,
    loss: train::Criterion,
    subset: Option<usize>,
    #[serde(flatten)]
    geometric: Geometric,
    class_weights: ClassWeights,
    #[serde(flatten)]
    tuning: Tuning,
}

/// Trains the network.
pub fn run(ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    let started = Instant::now();
    let Params { network, training, learned_lr, loss, subset, geometric, class_weights, tuning } = params;
    let set = TrainingSet::of(inputs, "train")?.drawn(ctx.seed, subset)?;
    let training = training.with_learned_lr(learned_lr, &set)?.with_loss(loss, &set)?;
    let test = if inputs.has("test") { Some(inputs.dataset("test")?) } else { None };
    if let Some(test) = &test {
        train::fits((set.image_shape(), set.classes()), (test.image_shape(), test.classes), "test")?;
    }
    let network = network.network(set.image_shape(), set.classes())?;
    let phases = tuning.phases(&network, training.settings(ctx.seed))?;
    let weighting = class_weights.weighting(training.objective, set.labels(), set.classes())?;
    let direction = |network: &_, parameters: &_, images: &_, labels: &_, chunk| {
        weighting.gradient(network, parameters, images, labels, chunk)
    };
    let (state, before, tested) = match ctx.resume() {
        Some(Checkpoint { tensors, state, .. }) => {
            let seconds = |name: &str| state[name].as_f64().unwrap_or(0.0);
            (State::restore(&network, &tensors, &state["training"])?, seconds("seconds"), seconds("tested"))
        }
        None => (State::new(train::start(ctx, inputs, &network)?), 0.0, 0.0),
    };
    let images = set.examples().count();
    let seconds = || before + started.elapsed().as_secs_f64();
    let mut watch = Watch {
        ctx,
        network: &network,
        objective: training.objective,
        test: test.as_ref(),
        scores: None,
        loss: LossReader::default(),
        done: state.epoch * training.settings(ctx.seed).steps_per_epoch(images) + state.batch,
        total: phases.iter().map(|phase| phase.settings.steps(images)).sum(),
        seconds: &seconds,
        tested,
    };
    let augment = geometric.before(training.augmentation(&network, ctx.seed), ctx.seed);
    let (examples, augment) = (set.examples(), augment.as_deref());
    let state = train::train_in_phases(&direction, &phases, state, examples, augment, &mut watch)?;

    let trained = train::Trained { network: &network, state: &state, set: &set, scores: watch.scores.as_ref() };
    let weights = if inputs.has("weights") { Some(inputs.one("weights")?.digest.to_string()) } else { None };
    let mut document = trained.document()?;
    if let Some(digest) = weights {
        document["weights"] = digest.into();
    }
    if tuning.is_used() {
        document["phases"] = phases.iter().map(train::Phase::document).collect();
    }
    let seconds = seconds();
    Ok(trained.outputs(document)?.metric("train_seconds", seconds - watch.tested).metric("seconds", seconds))
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
