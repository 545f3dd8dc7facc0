//! `train.classifier`: trains one network on labelled images and tests it as it goes on; `train.teacher` is the
//! same with other defaults. The training loop and the report on the trained network are in `training`.

use crate::context::{Context, Inputs, Outputs};
use crate::params::NetworkParams;
use crate::training::{
    self, BySize, ClassWeights, Objective, Progress, State, Training, TrainingParams, TrainingSet, Tuning,
};
use anyhow::Result;
use ddpipe_nn::augment::Geometric;
use serde::Deserialize;
use std::cell::Cell;

/// The parameters: the network, its training, and the number of images.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    #[serde(flatten)]
    network: NetworkParams,
    doubling: bool,
    #[serde(flatten)]
    training: TrainingParams,
    #[serde(flatten)]
    by_size: BySize,
    learned_lr: bool,
    loss: training::Criterion,
    subset: Option<usize>,
    #[serde(flatten)]
    geometric: Geometric,
    class_weights: ClassWeights,
    #[serde(flatten)]
    tuning: Tuning,
    test_every: u64,
}

/// Runs the stage: trains the network, tests it if there is a test set, and writes model and metrics.
pub fn run(ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    let Params { network, doubling, training, by_size, .. } = params;
    let Params { learned_lr, loss, subset, geometric, class_weights, tuning, test_every, .. } = params;
    let set = TrainingSet::of(inputs, "train")?.drawn(ctx.seed, subset)?;
    let training = by_size.of(training.with_learned_lr(learned_lr, &set)?, set.examples().count())?;
    let objective = Objective::of(loss, &set)?;
    training.check(objective, set.examples().count())?;
    let test = training::test_set(ctx, inputs, set.normalisation(), set.class_names())?;
    if let Some(test) = &test {
        training::fits((set.image_shape(), set.classes()), (test.image_shape(), test.classes), "test")?;
    }
    let network = network.laid(doubling, set.image_shape(), set.classes())?;
    let phases = tuning.phases(&network, training.settings(ctx.seed))?;
    let weights = class_weights.weights_for(objective, set.labels(), set.classes())?;
    let (state, tested) = match ctx.resume() {
        Some(checkpoint) => (State::resume(&network, &checkpoint)?, checkpoint.noted("tested")?),
        None => (State::new(training::start(ctx, inputs, &network)?), 0.0),
    };
    let augment = geometric.before(training.augmentation(&network, ctx.seed), ctx.seed);
    let training_loop = Training {
        phases: &phases,
        direction: &|network, parameters, batch, chunk| {
            objective.gradient(weights.as_ref(), network, parameters, batch, chunk)
        },
        examples: set.examples(),
        augment: augment.as_deref(),
    };
    let (settings, images) = (training.settings(ctx.seed), set.examples().count());
    let epochs = training_loop.epochs();
    // Seconds of all tests so far, and the scores of the last one.
    let (tested, mut scores) = (Cell::new(tested), None);
    let mut progress =
        Progress::new(ctx, &network, training_loop.steps(), |state: &State| settings.done(state, images))
            .saving(|checkpoint, _| {
                checkpoint.note("tested", tested.get());
                Ok(())
            })
            .on_epoch(|report, state, result| {
                report.epoch(result);
                let epoch = result.epoch + 1;
                let is_due = epoch % test_every == 0 || epoch == epochs;
                let Some(test) = test.as_ref().filter(|_| is_due) else { return Ok(None) };
                let now = training::evaluate(&network, &state.result(&settings)?, test, || report.tell(state, None))?;
                let now = objective.scored(now);
                tested.set(tested.get() + now.seconds);
                let accuracy = now.confusion.accuracy();
                report.metric("accuracy", result.epoch, accuracy);
                scores = Some(now);
                Ok(Some(accuracy))
            });
    let state = training_loop.run(state, &mut progress)?;
    drop(progress);

    let trained = training::Trained { network: &network, state: &state, set: &set, scores: scores.as_ref() };
    let digest = if inputs.has("weights") { Some(inputs.one("weights")?.digest.to_string()) } else { None };
    let mut document = trained.document()?;
    if let Some(digest) = digest {
        document["weights"] = digest.into();
    }
    if tuning.is_used() {
        document["phases"] = phases.iter().map(training::Phase::document).collect();
    }
    let seconds = ctx.seconds();
    Ok(trained.outputs(document)?.metric("train_seconds", seconds - tested.get()).metric("seconds", seconds))
}
