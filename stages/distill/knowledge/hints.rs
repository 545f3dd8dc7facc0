//! The first stage of a FitNet: the student's layers up to the guided one learn, through a regressor, to put out what
//! the teacher's hint layer does (Romero et al., ICLR 2015, eq. 3). The loop is the common one; the regressor's values
//! stand behind the student's. The layers behind the guided one are not reached, and stay as they are.

use super::{beside, loss};
use crate::context::{Checkpoint, Context};
use crate::distill::knowledge::layers::Pair;
use crate::distill::knowledge::loss::HintForm;
use crate::distill::knowledge::regressor::Regressor;
use crate::distill::knowledge::teacher::Teacher;
use crate::training::{Batch, Divergence, Examples, Gradient, Pass, Phase, Progress, State, Training, batch_gradient};
use anyhow::Result;
use ddpipe_nn::augment::Augment;
use ddpipe_nn::network::{Chunk, Mode, Parameters};
use ddpipe_nn::pieces::Shared;
use ddpipe_nn::stream::stream;
use tch::{Kind, TchError, Tensor};

/// Whose part of a checkpoint this stage is.
const HINTS: &str = "hints";

/// The names of the regressor's values.
const REGRESSOR: [&str; 2] = ["regressor.weight", "regressor.bias"];

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
        beside::resume(checkpoint, &REGRESSOR, &mut state)?;
        Ok(Some(state))
    }

    /// The gradient of the hint loss averaged over a batch. Labels are not looked at, and no image counts as classified.
    fn gradient(
        &self,
        teacher: &Teacher,
        parameters: &Parameters,
        batch: &Batch,
        chunk: Chunk,
    ) -> Result<Gradient, TchError> {
        let Hints { pair, regressor, form, phase: Phase { network, .. } } = self;
        let own = network.trainable().count();
        let last =
            |mut layers: Vec<Tensor>| layers.pop().ok_or_else(|| TchError::Torch("a network without layers".into()));
        let teacher = Shared::new(teacher);
        let pass = |leaves: &Parameters, part: &Batch| {
            let images = &part.images;
            let (theirs, shown) = (&teacher.network, &teacher.parameters);
            let hint = tch::no_grad(|| theirs.hidden(shown, images, Mode::Eval, pair.teacher))?;
            let mut dropout = part.dropout.as_slice();
            let guided = network.hidden_with_dropout(leaves, images, Mode::Train, pair.student, &mut dropout)?;
            let turned = regressor.apply(&leaves.trainable[own..], &last(guided.layers)?)?;
            let loss = loss::hint(&turned, &last(hint.layers)?, *form)?;
            let right = Tensor::f_zeros([images.size()[0]], (Kind::Bool, images.device()))?;
            Ok(Pass { loss, right, buffers: guided.buffers })
        };
        batch_gradient(pass, network, parameters, batch, chunk)
    }

    /// Trains the guided layers from `state` to the end, and returns the student's parameters and the loss of every epoch.
    /// `total` counts the steps of the whole stage.
    pub fn train(
        &self,
        ctx: &Context,
        teacher: &Teacher,
        state: State,
        examples: &dyn Examples,
        augment: Option<&dyn Augment>,
        total: u64,
    ) -> Result<(Parameters, Vec<f64>)> {
        let Phase { network, settings } = &self.phase;
        let own = network.trainable().count();
        let training = Training {
            phases: std::slice::from_ref(&self.phase),
            direction: &|_, parameters, batch, chunk| self.gradient(teacher, parameters, batch, chunk),
            examples,
            augment,
        };
        let images = examples.count();
        let mut progress = Progress::new(ctx, network, total, |state: &State| settings.done(state, images))
            .stored_as(HINTS)
            .when_diverged(Divergence::Fails("a lower hint_lr may help"))
            .on_epoch(|report, _, result| {
                report.metric("hint_loss", result.epoch, result.loss);
                Ok(None)
            })
            .saving(|checkpoint, state| {
                beside::store(checkpoint, &REGRESSOR, own, state);
                Ok(())
            });
        let State { mut parameters, history, .. } = training.run(state, &mut progress)?;
        parameters.trainable.truncate(own);
        Ok((parameters, history.iter().map(|epoch| epoch.loss).collect()))
    }
}
