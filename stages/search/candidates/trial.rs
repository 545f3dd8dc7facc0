//! The training of one candidate: a network with fresh weights is trained on the set and tested once, at the end. Its
//! random streams have their own seed, drawn from the stage's seed and the candidate's index in the space, so its
//! result does not depend on which other candidates are trained.

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

/// What all candidates of a stage share: sets, parameters, and the number of candidates `total`.
pub(super) struct Trial<'a> {
    pub ctx: &'a Context,
    pub set: &'a TrainingSet,
    pub test: &'a Dataset,
    pub params: &'a Params,
    pub total: u64,
}

/// The candidates that are trained and tested; stored in checkpoints.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Done {
    pub finished: Vec<Tested>,
    /// Wall time of the tests of these candidates in seconds.
    pub test_seconds: f64,
}

impl Trial<'_> {
    /// Trains and tests a candidate, continuing from `state` if it was interrupted. Returns its result and the seconds
    /// of its test. The caller adds both to `done`.
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
        // A search continues when a training diverges: the candidate is tested as it is and keeps that accuracy.
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
