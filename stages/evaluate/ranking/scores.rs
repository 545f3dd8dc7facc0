//! The equations of DD-Ranking, as pure functions of accuracies. Which accuracy is which, and whether they may be
//! compared at all, is decided before.

use serde::Deserialize;
use std::f64::consts::E;

/// What the exponential takes the differences in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Shares from 0 to 1: scores lie from 0 to 1.
    Share,
    /// Percent, from 0 to 100: scores have no bound above and end at -0.157 below.
    Percent,
}

impl Unit {
    fn of(self, share: f64) -> f64 {
        match self {
            Unit::Share => share,
            Unit::Percent => 100.0 * share,
        }
    }
}

/// Hard-label recovery, HLR: what is lost when hard-labelled synthetic images take the place of the whole set. Less is
/// better; 0 is full recovery.
pub fn hard_label_recovery(whole: f64, hard: f64) -> f64 {
    whole - hard
}

/// Improvement over random, IOR: what the synthetic images add to as many random real ones, by one protocol.
pub fn improvement_over_random(own: f64, random: f64) -> f64 {
    own - random
}

/// Label-robust score, LRS: alpha = w IOR - (1 - w) HLR, normalised.
pub fn label_robust(weight: f64, improvement: f64, recovery: f64, unit: Unit) -> f64 {
    normalised(weight * unit.of(improvement) - (1.0 - weight) * unit.of(recovery))
}

/// Augmentation-robust score, ARS: beta = gamma IOR + (1 - gamma) IOR without augmentation, normalised.
pub fn augmentation_robust(weight: f64, improvement: f64, plain: f64, unit: Unit) -> f64 {
    normalised(weight * unit.of(improvement) + (1.0 - weight) * unit.of(plain))
}

/// (e^x - e^-1) / (e - e^-1): 0 at -1, 0.27 at 0, 1 at 1.
fn normalised(x: f64) -> f64 {
    (x.exp() - (-1f64).exp()) / (E - (-1f64).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_of_shares_end_at_0_and_1() {
        assert_eq!(label_robust(0.5, -1.0, 1.0, Unit::Share), 0.0);
        assert_eq!(label_robust(0.5, 1.0, -1.0, Unit::Share), 1.0);
        assert_eq!(augmentation_robust(0.25, 1.0, 1.0, Unit::Share), 1.0);
        assert!((label_robust(0.5, 0.0, 0.0, Unit::Share) - 0.268941421369995).abs() < 1e-12);
    }
}
