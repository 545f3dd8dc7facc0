//! Knowledge distillation: trains a student on a teacher's soft targets beside the labels (Hinton, Vinyals and Dean 2015),
//! after hints from one of the teacher's layers (FitNets, Romero et al. 2015), or with its attention (Zagoruyko and
//! Komodakis 2017) or the relations that it sees between images. The student's model is a teacher in its turn. The losses
//! are in `loss` and `relations`, the loop in `training`.

#![expect(non_snake_case, reason = "tensors carry their shape in their names; loss.rs has the legend")]

mod begin;
mod beside;
mod comparison;
mod examples;
mod hint;
mod hints;
mod layers;
pub mod loss;
mod objective;
mod outcome;
mod params;
pub mod regressor;
pub mod relations;
mod teacher;
mod test;

pub use params::Params;

use crate::context::{Context, Inputs, Outputs};
use crate::training::{self, Phase, Progress, Settings, State, Trained, Training, TrainingSet, logits_of};
use anyhow::{Context as _, Result};
use begin::Begun;
use comparison::Comparison;
use ddpipe_nn::network::Network;
use ddpipe_nn::optim::{Course, Schedule};
use ddpipe_nn::stream::stream;
use examples::WithTeacher;
use hint::Hint;
use hints::Hints;
use layers::Pair;
use objective::DistillationLoss;
use outcome::Outcome;
use params::Distillation;
use rand::Rng;
use regressor::Regressor;
use serde_json::json;
use std::cell::Cell;
use std::time::Instant;
use teacher::Teacher;
use test::Test;

/// Trains the student.
pub fn run(ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    let set = TrainingSet::of(inputs, "train")?.drawn(ctx.seed, params.subset)?;
    if let TrainingSet::Synthetic(set) = &set {
        set.refuse_targets().context("input \"train\"")?;
    }
    let test = training::test_set(ctx, inputs, set.normalisation(), set.class_names())?;
    if let Some(test) = &test {
        training::fits((set.image_shape(), set.classes()), (test.image_shape(), test.classes), "test")?;
    }
    let network = params.network.laid(params.doubling, set.image_shape(), set.classes())?;
    let (distillation, training) = params.apart(&set)?;
    let phases = training.tuning.phases(&network, training.params.settings(ctx.seed))?;
    let teacher = Teacher::of(inputs, &set)?;
    let (pairs, hints, comparison) = compared(ctx, &network, &teacher, &distillation, &phases[0])?;

    // Before any training: to stop here loses nothing but the teacher's logits.
    let augment = training.augmentation(&network, ctx.seed);
    let known = distillation.soft_targets.alpha > 0.0 && comparison.is_none() && augment.is_none();
    let logits = |examples| logits_of(&teacher.network, &teacher.parameters, examples, || ctx.check());
    let teacher_logits = if known { Some(logits(set.examples())?) } else { None };
    let by_teacher = test.as_ref().map(|test| anyhow::Ok(logits(test)?.f_argmax(1, false)?)).transpose()?;
    let test = test.as_ref().zip(by_teacher).map(|(set, by_teacher)| Test { set, by_teacher });

    let examples = WithTeacher { examples: set.examples(), teacher_logits };
    let weights = training.class_weights.weights(set.labels(), set.classes())?;
    let objective = DistillationLoss {
        teacher: &teacher,
        settings: distillation.soft_targets,
        weights: weights.as_ref(),
        pairs: if comparison.is_some() { &pairs } else { &[] },
        comparison: comparison.as_ref(),
        beta: distillation.beta,
    };
    let training_loop = Training {
        phases: &phases,
        direction: &|network, parameters, batch, chunk| objective.gradient(network, parameters, batch, chunk),
        examples: &examples,
        augment: augment.as_deref(),
    };
    let (images, steps) = (set.examples().count(), training_loop.steps());
    let hint_steps = hints.as_ref().map_or(0, |hints| hints.phase.settings.steps(images));

    let resumed = ctx.resume();
    let tested: f64 = match &resumed {
        Some(checkpoint) if checkpoint.state.get(TESTED).is_some() => checkpoint.noted(TESTED)?,
        _ => 0.0,
    };
    let (state, hint_losses) =
        match Begun::of(ctx, inputs, &network, hints.as_ref(), comparison.as_ref(), resumed.as_ref())? {
            Begun::Student(state, losses) => (state, losses),
            Begun::Hints(hints, state) => {
                let augment = training.augmentation(&network, hints.phase.settings.seed);
                let (examples, augment) = (set.examples(), augment.as_deref());
                let (parameters, losses) = hints.train(ctx, &teacher, state, examples, augment, hint_steps + steps)?;
                (begin::student(ctx, parameters, comparison.as_ref()), losses)
            }
        };

    let settings = &phases[0].settings;
    let epochs = steps / settings.steps_per_epoch(images).max(1);
    // Seconds of all test passes; the scores and the agreement with the teacher after the last epoch.
    let (tested, mut scores, mut likeness) = (Cell::new(tested), None, None);
    let mut progress = Progress::new(ctx, &network, hint_steps + steps, |state: &State| settings.done(state, images))
        .after(hint_steps)
        .saving(|checkpoint, state| {
            let trained_too = comparison.as_ref().map_or(&[][..], Comparison::beside);
            beside::store(checkpoint, trained_too, network.trainable().count(), state);
            checkpoint.note(TESTED, tested.get());
            checkpoint.note(HINT_LOSSES, &hint_losses);
            Ok(())
        })
        .on_epoch(|report, state, result| {
            report.epoch(result);
            let Some(test) = &test else { return Ok(None) };
            let started = Instant::now();
            let shown = state.result(settings)?;
            let now = test.scores(&network, &shown, state, report)?;
            if result.epoch + 1 == epochs {
                likeness = Some(test.likeness(&network, &shown, state, report)?);
            }
            tested.set(tested.get() + started.elapsed().as_secs_f64());
            let accuracy = now.confusion.accuracy();
            report.metric("accuracy", result.epoch, accuracy);
            scores = Some(now);
            Ok(Some(accuracy))
        });
    let mut state = training_loop.run(state, &mut progress)?;
    drop(progress);
    state.parameters.trainable.truncate(network.trainable().count());

    let trained = Trained { network: &network, state: &state, set: &set, scores: scores.as_ref() };
    let mut about = vec![
        ("distillation", distillation.document(&pairs, hints.as_ref().map(|hints| &hints.phase))),
        (HINT_LOSSES, json!(hint_losses)),
    ];
    if inputs.has("weights") {
        about.push(("weights", json!(inputs.one("weights")?.digest.to_string())));
    }
    if training.tuning.is_used() {
        about.push(("phases", phases.iter().map(Phase::document).collect()));
    }
    let outcome = Outcome { trained, teacher: &teacher, likeness, about };
    let seconds = ctx.seconds();
    Ok(outcome.outputs()?.metric("train_seconds", seconds - tested.get()).metric("seconds", seconds))
}

/// The key of the seconds of all test passes in checkpoints.
const TESTED: &str = "tested";

/// The key of the hints' losses in the document of metrics and in checkpoints.
const HINT_LOSSES: &str = "hint_losses";

/// The layers that are compared, what guides the student if one of them does, and what they are compared by at every step.
fn compared(
    ctx: &Context,
    network: &Network,
    teacher: &Teacher,
    distillation: &Distillation,
    first: &Phase,
) -> Result<(Vec<Pair>, Option<Hints>, Option<Comparison>)> {
    let any = network.init(stream(ctx.seed, "init", 0).generator(), ctx.device)?;
    let ours = layers::shapes(network, &any, ctx.device)?;
    let theirs = layers::shapes(&teacher.network, &teacher.parameters, ctx.device)?;
    let named = [distillation.student_layers.as_slice(), distillation.teacher_layers.as_slice()];
    let pairs = layers::choose(distillation.hint, named, &ours, &theirs)?;
    let comparison = Comparison::of(distillation, &pairs, &ours, &theirs)?;
    let (Hint::Fitnet, &[pair]) = (distillation.hint, pairs.as_slice()) else { return Ok((pairs, None, comparison)) };
    let regressor = Regressor::between(&ours[pair.student], &theirs[pair.teacher]);
    let regressor = regressor.with_context(|| format!("hint: {pair}"))?;
    // A student that is frozen in part is so for the hints too; their draws are their own.
    let settings = Settings {
        epochs: distillation.hint_epochs,
        rate: distillation.hint_lr.unwrap_or(first.settings.rate),
        schedule: Schedule::Constant,
        course: Course::default(),
        average: None,
        planned_steps: None,
        seed: stream(ctx.seed, "hints", 0).generator().random(),
        ..first.settings.clone()
    };
    let phase = Phase { network: first.network.clone(), settings };
    Ok((pairs, Some(Hints { pair, regressor, form: distillation.hint_loss, phase }), comparison))
}
