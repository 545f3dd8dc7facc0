//! One candidate: a fresh network trained on the set and tested once, at the end. Its random streams have a seed of
//! their own, drawn from the stage's seed and its place in the space, so that it comes out the same whichever others
//! are trained beside it.

use super::{Params, Tested};
use crate::artifact::Dataset;
use crate::context::Context;
use crate::search::candidates::candidate::{Candidate, name};
use crate::training::{self, Criterion, Divergence, Objective, Phase, Progress, State, Training, TrainingSet};
use anyhow::Result;
use ddpipe_nn::network::Network;
use ddpipe_nn::stream::stream;
use rand::Rng;
use serde::{Deserialize, Serialize};

/// What is the same for all candidates.
pub(super) struct Trial<'a> {
    pub ctx: &'a Context,
    pub set: &'a TrainingSet,
    pub test: &'a Dataset,
    pub params: &'a Params,
    pub total: u64,
}

/// The candidates that are done.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Done {
    pub finished: Vec<Tested>,
    /// Wall time of their tests.
    pub test_seconds: f64,
}

impl Trial<'_> {
    /// Trains and tests a candidate, from `state` if it was begun before: what came out, and the seconds of its test. The
    /// caller adds both to what is done.
    pub fn run(
        &self,
        candidate: &Candidate,
        network: &Network,
        done: &Done,
        state: Option<State>,
    ) -> Result<(Tested, f64)> {
        let seed = stream(self.ctx.seed, "candidate", candidate.index).generator().random();
        let state = match state {
            Some(state) => state,
            None => State::new(network.init(stream(seed, "init", 0).generator(), self.ctx.device)?),
        };
        let augment = self.params.training.augmentation(network, seed);
        let settings = self.params.settings(seed);
        let examples = self.set.examples();
        let (images, steps) = (examples.count(), settings.steps(examples.count()));
        let objective = Objective::of(Criterion::Auto, self.set)?;
        let training = Training {
            phases: &[Phase { network: network.clone(), settings: settings.clone() }],
            direction: &|network, parameters, batch, chunk| objective.gradient(None, network, parameters, batch, chunk),
            examples,
            augment: augment.as_deref(),
        };
        // A search goes on when a training diverges: the candidate counts with the accuracy it has.
        let mut progress = Progress::new(self.ctx, network, self.total * steps, |state: &State| {
            settings.done(state, images).min(steps)
        })
        .after(done.finished.len() as u64 * steps)
        .when_diverged(Divergence::Ends)
        .saving(|checkpoint, _| {
            checkpoint.note("candidates", done);
            Ok(())
        });
        let state = training.run(state, &mut progress)?;
        let report = progress.report();
        let test = training::evaluate(network, &state.parameters, self.test, || report.tell(&state, None))?;
        let diverged = state.diverged()?;
        let loss = state.history.last().map(|epoch| epoch.loss).filter(|_| !diverged);
        let tested = Tested {
            index: candidate.index,
            name: name(&candidate.architecture),
            network: network.spec().clone(),
            parameters: network.parameter_count(),
            flops: network.flops(),
            accuracy: test.confusion.accuracy(),
            loss,
            diverged,
        };
        Ok((tested, test.seconds))
    }
}
