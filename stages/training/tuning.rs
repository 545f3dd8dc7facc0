//! Fine-tuning: which parameters are frozen, and a second phase in which fewer are. A stage's `Params` includes these
//! parameters.

use super::{Phase, Settings};
use crate::training::freezing::frozen;
use anyhow::{Context as _, Result, ensure};
use ddpipe_nn::network::Network;
use serde::{Deserialize, Serialize};

/// The learning rate of the first phase is divided by this for the second phase, if `tune_lr` is not given.
const TIMES_SMALLER: f64 = 10.0;

/// The frozen parameters and the second phase. Part of a kind's `Params`, by `#[serde(flatten)]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[expect(missing_docs, reason = "each is the parameter of the same name in stage.toml, which has the help")]
pub struct Tuning {
    pub freeze: Vec<String>,
    pub unfreeze: Vec<String>,
    pub tune_epochs: u64,
    pub tune_lr: Option<f64>,
}

impl Tuning {
    /// Whether parameters are frozen or there is a second phase.
    pub fn is_used(&self) -> bool {
        !self.freeze.is_empty() || self.tune_epochs > 0
    }

    /// The phases of a training with these settings: one in which the parameters that `freeze` names are frozen, and,
    /// if `tune_epochs` is above 0, one in which those that `unfreeze` names are trained again. An error if a pattern
    /// matches no parameter, or if `freeze` leaves nothing to train.
    pub fn phases(&self, network: &Network, settings: Settings) -> Result<Vec<Phase>> {
        let held = frozen(network, &self.freeze).context("`freeze`")?;
        let freed = frozen(network, &self.unfreeze).context("`unfreeze`")?;
        ensure!(!held.iter().all(|&held| held), "`freeze` freezes every parameter, which leaves nothing to train");
        let second = Settings {
            epochs: self.tune_epochs,
            rate: self.tune_lr.unwrap_or(settings.rate / TIMES_SMALLER),
            planned_steps: None,
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
