//! How the learning rate goes from epoch to epoch.

use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// A rule for the learning rate. Epochs are counted from 0, E is the number of epochs in the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// The published evaluation of synthetic sets: E+1 epochs; after epoch E/2+1 (rounded down) the rate drops tenfold
    /// and the velocity starts empty again.
    Step,
    /// rate * (1 + cos(π e / E)) / 2, over E epochs.
    Cosine,
    /// RDED's evaluation: rate * (1 + cos(π e / 2E)) / 2, over E epochs; it ends near half of the rate.
    HalfCosine,
    /// rate * (1 - e / E), over E epochs.
    Linear,
    /// The same rate over E epochs.
    Constant,
    /// IDC's evaluation: a fifth of the rate after 2E/3 epochs and again after 5E/6 (rounded down), over E epochs.
    Multistep,
}

impl Schedule {
    /// How many epochs are run.
    pub fn epochs(self, settings_epochs: u64) -> u64 {
        match self {
            Schedule::Step => settings_epochs + 1,
            _ => settings_epochs,
        }
    }

    /// The rate of an epoch.
    pub fn rate(self, rate: f64, settings_epochs: u64, epoch: u64) -> f64 {
        match self {
            Schedule::Step if epoch > last_full(settings_epochs) => rate * 0.1,
            Schedule::Step | Schedule::Constant => rate,
            Schedule::Multistep => {
                let drops = [2 * settings_epochs / 3, 5 * settings_epochs / 6];
                rate * 0.2f64.powi(drops.iter().filter(|&&drop| epoch >= drop).count() as i32)
            }
            Schedule::Cosine => cosine(rate, settings_epochs, epoch),
            Schedule::HalfCosine => cosine(rate, 2 * settings_epochs, epoch),
            Schedule::Linear => rate * (1.0 - epoch as f64 / settings_epochs.max(1) as f64),
        }
    }

    /// Whether the velocity is emptied before this epoch.
    pub fn empties_velocity(self, settings_epochs: u64, epoch: u64) -> bool {
        self == Schedule::Step && epoch == last_full(settings_epochs) + 1
    }
}

/// rate * (1 + cos(π e / period)) / 2. Past the period the rate rises again.
pub fn cosine(rate: f64, period: u64, epoch: u64) -> f64 {
    rate * (1.0 + (PI * epoch as f64 / period.max(1) as f64).cos()) / 2.0
}

fn last_full(settings_epochs: u64) -> u64 {
    settings_epochs / 2 + 1
}
