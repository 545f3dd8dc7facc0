//! Where the stage is to go on: fresh, or in the part of the training at which a checkpoint was saved.

use crate::context::{Checkpoint, Context, Inputs};
use crate::distill::knowledge::HINT_LOSSES;
use crate::distill::knowledge::beside;
use crate::distill::knowledge::comparison::Comparison;
use crate::distill::knowledge::hints::Hints;
use crate::training::{self, State};
use anyhow::Result;
use ddpipe_nn::network::{Network, Parameters};

/// A part of the stage's training, and where it stands.
pub enum Begun<'a> {
    /// In the first stage of a FitNet.
    Hints(&'a Hints, State),
    /// In the training on labels and soft targets, with the losses of the hints.
    Student(State, Vec<f64>),
}

/// The start of the training on labels and soft targets of a student with these parameters.
pub fn student(ctx: &Context, mut parameters: Parameters, comparison: Option<&Comparison>) -> State {
    let fresh = comparison.map(|comparison| comparison.init(ctx.seed, ctx.device));
    parameters.trainable.extend(fresh.unwrap_or_default());
    State::new(parameters)
}

impl<'a> Begun<'a> {
    /// Continues from the checkpoint, or starts where there is none.
    pub fn of(
        ctx: &Context,
        inputs: &Inputs,
        network: &Network,
        hints: Option<&'a Hints>,
        comparison: Option<&Comparison>,
        checkpoint: Option<&Checkpoint>,
    ) -> Result<Self> {
        let Some(checkpoint) = checkpoint else {
            let start = training::start(ctx, inputs, network)?;
            return Ok(match hints {
                Some(hints) => Begun::Hints(hints, hints.begin(start)),
                None => Begun::Student(student(ctx, start, comparison), Vec::new()),
            });
        };
        if let Some(hints) = hints
            && let Some(state) = hints.resume(checkpoint)?
        {
            return Ok(Begun::Hints(hints, state));
        }
        let mut state = State::resume(network, checkpoint)?;
        beside::resume(checkpoint, comparison.map_or(&[][..], Comparison::beside), &mut state)?;
        Ok(Begun::Student(state, checkpoint.noted(HINT_LOSSES)?))
    }
}
