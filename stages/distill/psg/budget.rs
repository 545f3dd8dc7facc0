//! How the privacy budget is laid out before the first step: how loud the noise is and how many steps there are. Either
//! the noise is found for the planned steps, or it is given and the budget ends the run. Knows no images.

use crate::distill::psg::accountant::{Accountant, Spent, noise_for};
use anyhow::{Context as _, Result, ensure};

/// What the parameters ask for.
#[derive(Clone, Copy, Debug)]
pub struct PrivacyTarget {
    /// The probability of an image to be in a step's sample.
    pub rate: f64,
    /// Steps to run if the budget lasts.
    pub planned: u64,
    /// The epsilon that must not be passed.
    pub epsilon: f64,
    /// The delta that goes with it.
    pub delta: f64,
    /// The noise, where it is given.
    pub noise: Option<f64>,
}

/// The noise and the steps of a run, which together stay within the budget.
#[derive(Debug)]
pub struct Budget {
    /// Standard deviation of the noise over the norm that gradients are clipped to.
    pub noise: f64,
    /// Steps that are run, every one of them accounted for.
    pub steps: u64,
    delta: f64,
    accountant: Accountant,
}

impl Budget {
    /// Lays the budget out, or says what does not fit into it.
    pub fn new(wish: PrivacyTarget) -> Result<Self> {
        let PrivacyTarget { rate, planned, epsilon, delta, noise } = wish;
        let Some(noise) = noise else {
            let noise = noise_for(rate, planned, epsilon, delta).with_context(|| {
                format!(
                    "no noise makes {planned} steps cost as little as target_epsilon = {epsilon} at delta = {delta}: \
                     with the accountant's orders {:.3} is the least; raise target_epsilon or delta",
                    Accountant::new(rate, 1e6).spent(planned, delta).epsilon
                )
            })?;
            return Ok(Budget { noise, steps: planned, delta, accountant: Accountant::new(rate, noise) });
        };
        let accountant = Accountant::new(rate, noise);
        let steps = accountant.steps_within(epsilon, delta, planned);
        ensure!(
            steps > 0,
            "the first step alone costs epsilon = {:.3} with noise_multiplier = {noise}, and target_epsilon is \
             {epsilon}; raise noise_multiplier, or leave it out to have it found",
            accountant.spent(1, delta).epsilon
        );
        Ok(Budget { noise, steps, delta, accountant })
    }

    /// What the first `steps` steps cost.
    pub fn spent(&self, steps: u64) -> Spent {
        self.accountant.spent(steps, self.delta)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const WISH: PrivacyTarget = PrivacyTarget { rate: 0.05, planned: 100, epsilon: 2.0, delta: 1e-5, noise: None };

    #[test]
    fn the_noise_is_found_for_all_steps_or_the_given_noise_ends_the_run_in_time() {
        let found = Budget::new(WISH).unwrap();
        assert_eq!(found.steps, 100);
        assert!(found.spent(100).epsilon <= 2.0 && found.spent(101).epsilon > 2.0);

        let quieter = Budget::new(PrivacyTarget { noise: Some(0.8 * found.noise), ..WISH }).unwrap();
        assert!(quieter.steps > 0 && quieter.steps < 100, "{}", quieter.steps);
        assert!(quieter.spent(quieter.steps).epsilon <= 2.0 && quieter.spent(quieter.steps + 1).epsilon > 2.0);

        let louder = Budget::new(PrivacyTarget { noise: Some(2.0 * found.noise), ..WISH }).unwrap();
        assert_eq!((louder.steps, louder.noise), (100, 2.0 * found.noise));
        assert!(louder.spent(100).epsilon < 1.0);
    }

    #[test]
    fn what_cannot_be_had_is_refused_with_numbers() {
        let message = |wish| format!("{:#}", Budget::new(wish).unwrap_err());
        let text = message(PrivacyTarget { epsilon: 0.05, ..WISH });
        assert!(text.contains("target_epsilon = 0.05 at delta = 0.00001") && text.contains("0.103"), "{text}");
        let text = message(PrivacyTarget { noise: Some(0.2), ..WISH });
        assert!(text.contains("noise_multiplier = 0.2, and target_epsilon is 2;"), "{text}");
    }
}
