//! The first stage of a FitNet: the student's layers up to the guided one learn, through a regressor, to put out what
//! the teacher's hint layer does (Romero et al., ICLR 2015, eq. 3). The loop is the common one; the regressor's values
//! stand behind the student's. The layers behind the guided one are not reached, and stay as they are.

use super::layers::Pair;
use super::loss::{self, HintForm};
use super::regressor::Regressor;
use super::teacher::Teacher;
use crate::common::network::{Chunk, Mode, Network, Parameters};
use crate::common::stream::stream;
use crate::common::train::{
    self, Augment, EpochResult, Examples, Gradient, LossReader, Observer, Pass, Phase, State, gradient_by,
};
use crate::context::{Checkpoint, Context};
use anyhow::{Result, bail};
use indexmap::IndexMap;
use serde_json::{Map, Value};
use tch::{Kind, TchError, Tensor};

/// Whose part of a checkpoint this stage is.
const HINTS: &str = "hints";

/// What guides a student.
pub struct Hints {
    /// The guided layer and the hint layer.
    pub pair: Pair,
    /// Between them.
    pub regressor: Regressor,
    /// How they are compared.
    pub form: HintForm,
    /// The student, what is frozen of it, and how it is trained.
    pub phase: Phase,
}

impl Hints {
    /// Where a student that starts from these parameters stands.
    pub fn begin(&self, mut parameters: Parameters) -> State {
        let device = parameters.trainable.first().map_or(tch::Device::Cpu, Tensor::device);
        let fresh = self.regressor.init(&mut stream(self.phase.settings.seed, "regressor", 0), device);
        parameters.trainable.extend(fresh);
        State::new(parameters)
    }

    /// Where a checkpoint of this stage stood; nothing where it is one of a later stage.
    pub fn resume(&self, checkpoint: &Checkpoint) -> Result<Option<State>> {
        let Some(about) = checkpoint.state.get(HINTS) else { return Ok(None) };
        let mut state = State::restore(&self.phase.network, &checkpoint.tensors, about)?;
        let begun = !state.velocity.is_empty();
        for part in ["weight", "bias"] {
            state.parameters.trainable.push(checkpoint.get(&format!("regressor.{part}"))?.shallow_clone());
            if begun {
                state.velocity.push(checkpoint.get(&format!("regressor.velocity.{part}"))?.shallow_clone());
            }
        }
        Ok(Some(state))
    }

    /// The gradient of the hint loss averaged over a batch. Labels are not looked at, and no image counts as classified.
    fn gradient(
        &self,
        teacher: &Teacher,
        parameters: &Parameters,
        images: &Tensor,
        labels: &Tensor,
        chunk: Chunk,
    ) -> Result<Gradient, TchError> {
        let Hints { pair, regressor, form, phase: Phase { network, .. } } = self;
        let own = network.trainable().count();
        let last =
            |mut layers: Vec<Tensor>| layers.pop().ok_or_else(|| TchError::Torch("a network without layers".into()));
        let pass = |leaves: &Parameters, images: &Tensor, _: &Tensor| {
            let (theirs, shown) = (&teacher.network, &teacher.parameters);
            let hint = tch::no_grad(|| theirs.hidden(shown, images, Mode::Eval, pair.teacher))?;
            let guided = network.hidden(leaves, images, Mode::Train, pair.student)?;
            let turned = regressor.apply(&leaves.trainable[own..], &last(guided.layers)?)?;
            let loss = loss::hint(&turned, &last(hint.layers)?, *form)?;
            let right = Tensor::f_zeros([images.size()[0]], (Kind::Bool, images.device()))?;
            Ok(Pass { loss, right, buffers: guided.buffers })
        };
        gradient_by(&pass, network, parameters, images, labels, chunk)
    }

    /// Guides the student from `state` to the end, and returns its parameters and the loss of every epoch.
    pub fn guide(
        &self,
        teacher: &Teacher,
        state: State,
        examples: &dyn Examples,
        augment: Option<&dyn Augment>,
        mut watch: HintWatch,
    ) -> Result<(Parameters, Vec<f64>)> {
        let phases = [self.phase.clone()];
        let direction: train::Direction =
            &|_, parameters, images, labels, chunk| self.gradient(teacher, parameters, images, labels, chunk);
        let State { mut parameters, history, .. } =
            train::train_in_phases(direction, &phases, state, examples, augment, &mut watch)?;
        parameters.trainable.truncate(self.phase.network.trainable().count());
        Ok((parameters, history.iter().map(|epoch| epoch.loss).collect()))
    }
}

/// Watches the stage: progress and checkpoints.
pub struct HintWatch<'a> {
    /// The stage's surroundings.
    pub ctx: &'a Context,
    /// The student.
    pub network: &'a Network,
    /// Steps of the whole training, this stage included.
    pub total: u64,
    /// For display.
    pub loss: LossReader,
    /// What a checkpoint has to hold besides.
    pub remember: &'a dyn Fn() -> Map<String, Value>,
}

impl Observer for HintWatch<'_> {
    fn step(&mut self, state: &State, step: u64, _total: u64, loss: &Tensor) -> Result<()> {
        let loss = self.loss.read(loss);
        self.ctx.step(step, self.total, "steps", loss, || {
            let mut tensors = IndexMap::new();
            let mut about = (self.remember)();
            about.insert(HINTS.into(), state.store(self.network, &mut tensors));
            let own = self.network.trainable().count();
            for (kind, values) in [("regressor", &state.parameters.trainable), ("regressor.velocity", &state.velocity)]
            {
                let behind = values.get(own..).unwrap_or_default();
                for (part, value) in ["weight", "bias"].iter().zip(behind) {
                    tensors.insert(format!("{kind}.{part}"), value.shallow_clone());
                }
            }
            Checkpoint { step, tensors, state: about.into() }
        })
    }

    fn epoch(&mut self, _state: &State, result: &EpochResult) -> Result<Option<f64>> {
        self.ctx.metric("hint_loss", result.epoch, result.loss);
        Ok(None)
    }

    fn diverged(&mut self, epoch: u64) -> Result<()> {
        bail!("the hint loss is no longer finite in epoch {epoch}; a lower hint_lr may help")
    }
}
