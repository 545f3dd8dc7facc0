//! The equations of DD-Ranking, as pure functions of accuracies from 0 to 1. `role.rs` and `fit.rs` decide before which
//! accuracies are passed in, and whether they may be compared.

use serde::Deserialize;
use std::f64::consts::E;

/// The unit of the differences in the exponential of the normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Shares from 0 to 1: scores lie from 0 to 1.
    Share,
    /// Percent, from 0 to 100: scores are above -0.157 and have no upper bound.
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

/// Hard-label recovery, HLR: the accuracy after training on the whole set minus that after training on the synthetic
/// images with hard labels. Less is better; 0 is full recovery.
pub fn hard_label_recovery(whole: f64, hard: f64) -> f64 {
    whole - hard
}

/// Improvement over random, IOR: the accuracy after training on the synthetic images minus that after training on as
/// many random real images, by the same protocol.
pub fn improvement_over_random(own: f64, random: f64) -> f64 {
    own - random
}

/// Label-robust score, LRS: alpha = w IOR - (1 - w) HLR, normalised by `normalised`. `weight` is w, `improvement` IOR
/// and `recovery` HLR.
pub fn label_robust(weight: f64, improvement: f64, recovery: f64, unit: Unit) -> f64 {
    normalised(weight * unit.of(improvement) - (1.0 - weight) * unit.of(recovery))
}

/// Augmentation-robust score, ARS: beta = gamma IOR + (1 - gamma) IOR without augmentation, normalised by
/// `normalised`. `weight` is gamma, `improvement` IOR and `plain` IOR without augmentation.
pub fn augmentation_robust(weight: f64, improvement: f64, plain: f64, unit: Unit) -> f64 {
    normalised(weight * unit.of(improvement) + (1.0 - weight) * unit.of(plain))
}

/// The normalisation of DD-Ranking: (e^x - e^-1) / (e - e^-1), which is 0 at x = -1, 0.27 at 0 and 1 at 1.
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
