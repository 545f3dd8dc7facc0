//! Fine-tuning: which parameters are frozen, and a second phase in which fewer are. Knows no stage; a stage's `Params`
//! hands its parameters over.

use super::{Phase, Settings};
use crate::training::freezing::frozen;
use anyhow::{Context as _, Result, ensure};
use ddpipe_nn::network::Network;
use serde::{Deserialize, Serialize};

/// How many times smaller than in the first phase the learning rate of the second is when it is not given.
const TIMES_SMALLER: f64 = 10.0;

/// What is frozen, and the second phase. Part of a kind's `Params`, by `#[serde(flatten)]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[expect(missing_docs, reason = "each is the parameter of the same name in stage.toml, which has the help")]
pub struct Tuning {
    pub freeze: Vec<String>,
    pub unfreeze: Vec<String>,
    pub tune_epochs: u64,
    pub tune_lr: Option<f64>,
}

impl Tuning {
    /// Whether there is more than one phase in which everything is trained.
    pub fn is_used(&self) -> bool {
        !self.freeze.is_empty() || self.tune_epochs > 0
    }

    /// The phases of a training with these settings: one with what `freeze` names frozen, and, where `tune_epochs` says
    /// so, one in which what `unfreeze` names is trained too.
    pub fn phases(&self, network: &Network, settings: Settings) -> Result<Vec<Phase>> {
        let held = frozen(network, &self.freeze).context("`freeze`")?;
        let freed = frozen(network, &self.unfreeze).context("`unfreeze`")?;
        ensure!(!held.iter().all(|&held| held), "`freeze` freezes every parameter, which leaves nothing to train");
        let second = Settings {
            epochs: self.tune_epochs,
            rate: self.tune_lr.unwrap_or(settings.rate / TIMES_SMALLER),
            ..settings.clone()
        };
        let mut phases = vec![Phase { network: network.freeze(&held), settings }];
        if self.tune_epochs > 0 {
            let still: Vec<bool> = held.iter().zip(&freed).map(|(&held, &freed)| held && !freed).collect();
            phases.push(Phase { network: network.freeze(&still), settings: second });
        }
        Ok(phases)
    }
}
