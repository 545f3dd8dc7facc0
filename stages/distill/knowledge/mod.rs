//! Knowledge distillation: trains a student on a teacher's answers beside the labels (Hinton, Vinyals and Dean 2015),
//! after hints from one of the teacher's layers (FitNets, Romero et al. 2015) or with its attention (Zagoruyko and
//! Komodakis 2017). The student's model is a teacher in its turn. The losses are in `loss`, the loop in `common::train`.

#![expect(non_snake_case, reason = "tensors carry their shape in their names; loss.rs has the legend")]

mod gradient;
mod guide;
mod layers;
pub mod loss;
mod outcome;
mod params;
pub mod regressor;
mod taught;
mod teacher;
mod watch;

pub use params::Params;

use crate::common::network::Network;
use crate::common::stream::stream;
use crate::common::train::{self, LossReader, Phase, Settings, State, Trained, TrainingSet};
use crate::context::{Checkpoint, Context, Inputs, Outputs};
use anyhow::{Context as _, Result};
use gradient::Teaching;
use guide::{HintWatch, Hints};
use layers::Pair;
use outcome::Outcome;
use params::{Distillation, Hint};
use rand::Rng;
use regressor::Regressor;
use serde_json::{Map, json};
use std::time::Instant;
use taught::Taught;
use teacher::{Teacher, logits_of};
use watch::{Clock, Test, Watch};

/// Trains the student.
pub fn run(ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    let started = Instant::now();
    let set = TrainingSet::of(inputs, "train")?.drawn(ctx.seed, params.subset)?;
    if let TrainingSet::Synthetic(set) = &set {
        set.refuse_targets().context("input \"train\"")?;
    }
    let test = if inputs.has("test") { Some(inputs.dataset("test")?) } else { None };
    if let Some(test) = &test {
        train::fits((set.image_shape(), set.classes()), (test.image_shape(), test.classes), "test")?;
    }
    let network = params.network.network(set.image_shape(), set.classes())?;
    let (distillation, training) = params.apart(&set)?;
    let phases = training.tuning.phases(&network, training.params.settings(ctx.seed))?;
    let teacher = Teacher::of(inputs, &set)?;
    let (pairs, hints) = compared(ctx, &network, &teacher, &distillation, &phases[0])?;

    // Before anything is learnt: to stop here loses nothing but the answers.
    let augment = training.augmentation(&network, ctx.seed);
    let attended: &[Pair] = if distillation.hint == Hint::Attention { &pairs } else { &[] };
    let known = distillation.answers.alpha > 0.0 && attended.is_empty() && augment.is_none();
    let ask = |examples| logits_of(&teacher.network, &teacher.parameters, examples, || ctx.check());
    let answers = if known { Some(ask(set.examples())?) } else { None };
    let by_teacher = test.as_ref().map(|test| anyhow::Ok(ask(test)?.f_argmax(1, false)?)).transpose()?;

    let images = set.examples().count();
    let steps = phases.iter().map(|phase| phase.settings.steps(images)).sum();
    let before = hints.as_ref().map_or(0, |hints| hints.phase.settings.steps(images));
    let resumed = ctx.resume();
    let clock = Clock::of(started, resumed.as_ref());
    let (state, hint_losses) = match begun(ctx, inputs, &network, hints.as_ref(), resumed.as_ref())? {
        Begun::Answers(state, losses) => (state, losses),
        Begun::Hints(hints, state) => {
            let augment = training.augmentation(&network, hints.phase.settings.seed);
            let (loss, remember) = (LossReader::default(), &|| clock.remember());
            let watch = HintWatch { ctx, network: &network, total: before + steps, loss, remember };
            let (parameters, losses) = hints.guide(&teacher, state, set.examples(), augment.as_deref(), watch)?;
            (State::new(parameters), losses)
        }
    };

    let taught = Taught { examples: set.examples(), answers };
    let weights = training.class_weights.weights(set.labels(), set.classes())?;
    let teaching = Teaching {
        teacher: &teacher,
        taught: &taught,
        settings: distillation.answers,
        weights: weights.as_ref(),
        pairs: attended,
        beta: distillation.beta,
    };
    let remember = || {
        let losses = [(HINT_LOSSES.to_string(), json!(hint_losses))];
        clock.remember().into_iter().chain(losses).collect::<Map<_, _>>()
    };
    let per_epoch = phases[0].settings.steps_per_epoch(images);
    let mut watch = Watch {
        ctx,
        network: &network,
        test: test.as_ref().zip(by_teacher).map(|(set, by_teacher)| Test { set, by_teacher }),
        scores: None,
        likeness: None,
        loss: LossReader::default(),
        before,
        done: state.epoch * per_epoch + state.batch,
        total: steps,
        epochs: steps / per_epoch.max(1),
        clock: &clock,
        remember: &remember,
    };
    let direction: train::Direction =
        &|network, parameters, images, labels, chunk| teaching.gradient(network, parameters, images, labels, chunk);
    let state = train::train_in_phases(direction, &phases, state, &taught, augment.as_deref(), &mut watch)?;

    let trained = Trained { network: &network, state: &state, set: &set, scores: watch.scores.as_ref() };
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
    let outcome = Outcome { trained, teacher: &teacher, likeness: watch.likeness, about };
    let (seconds, tested) = (clock.seconds(), clock.tested());
    Ok(outcome.outputs()?.metric("train_seconds", seconds - tested).metric("seconds", seconds))
}

/// The key of the hints' losses in the document of metrics and in checkpoints.
const HINT_LOSSES: &str = "hint_losses";

/// The layers that are compared, and what guides the student if one of them does.
fn compared(
    ctx: &Context,
    network: &Network,
    teacher: &Teacher,
    distillation: &Distillation,
    first: &Phase,
) -> Result<(Vec<Pair>, Option<Hints>)> {
    let any = network.init(stream(ctx.seed, "init", 0).generator(), ctx.device)?;
    let ours = layers::shapes(network, &any, ctx.device)?;
    let theirs = layers::shapes(&teacher.network, &teacher.parameters, ctx.device)?;
    let named = [distillation.student_layers.as_slice(), distillation.teacher_layers.as_slice()];
    let pairs = layers::choose(distillation.hint, named, &ours, &theirs)?;
    let (Hint::Fitnet, &[pair]) = (distillation.hint, pairs.as_slice()) else { return Ok((pairs, None)) };
    let regressor = Regressor::between(&ours[pair.student], &theirs[pair.teacher]);
    let regressor = regressor.with_context(|| format!("hint: {pair}"))?;
    // A student that is frozen in part is so for the hints too; their draws are their own.
    let settings = Settings {
        epochs: distillation.hint_epochs,
        rate: distillation.hint_lr.unwrap_or(first.settings.rate),
        schedule: train::Schedule::Constant,
        seed: stream(ctx.seed, "hints", 0).generator().random(),
        ..first.settings.clone()
    };
    let phase = Phase { network: first.network.clone(), settings };
    Ok((pairs, Some(Hints { pair, regressor, form: distillation.hint_loss, phase })))
}

/// Where the stage is to go on.
enum Begun<'a> {
    /// In a FitNet's first stage.
    Hints(&'a Hints, State),
    /// After it, with its losses.
    Answers(State, Vec<f64>),
}

fn begun<'a>(
    ctx: &Context,
    inputs: &Inputs,
    network: &Network,
    hints: Option<&'a Hints>,
    checkpoint: Option<&Checkpoint>,
) -> Result<Begun<'a>> {
    let Some(checkpoint) = checkpoint else {
        let start = train::start(ctx, inputs, network)?;
        return Ok(match hints {
            Some(hints) => Begun::Hints(hints, hints.begin(start)),
            None => Begun::Answers(State::new(start), Vec::new()),
        });
    };
    if let Some(hints) = hints
        && let Some(state) = hints.resume(checkpoint)?
    {
        return Ok(Begun::Hints(hints, state));
    }
    let losses = serde_json::from_value(checkpoint.state[HINT_LOSSES].clone()).context("the checkpoint's losses")?;
    Ok(Begun::Answers(State::restore(network, &checkpoint.tensors, &checkpoint.state["training"])?, losses))
}
