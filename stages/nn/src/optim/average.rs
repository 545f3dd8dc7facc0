//! Exponential averages of parameters (EMA), as functions of the values after each step.

use serde::{Deserialize, Serialize};
use tch::{TchError, Tensor};

/// What an average starts from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AverageStart {
    /// A copy of the values before the first step: a = d a + (1 - d) value.
    #[default]
    Copy,
    /// Zero, which is taken out again: h = d h + (1 - d) value, and the average after k steps is h / (1 - d^k).
    Zero,
}

/// How values are averaged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Average {
    /// The share of the old average that stays, below 1.
    pub decay: f64,
    /// What it starts from.
    pub start: AverageStart,
}

/// An average in the making; empty before the first step.
#[derive(Debug, Default)]
pub struct Averaged {
    /// A tensor for each value.
    pub sums: Vec<Tensor>,
    /// The steps that were taken.
    pub steps: u64,
}

impl Average {
    /// Takes in the values after a step; `before` are those before it.
    pub fn add<'a>(
        &self,
        before: impl Iterator<Item = &'a Tensor>,
        now: impl Iterator<Item = &'a Tensor>,
        averaged: &mut Averaged,
    ) -> Result<(), TchError> {
        tch::no_grad(|| {
            if averaged.steps == 0 {
                let first = |value: &Tensor| match self.start {
                    AverageStart::Copy => Ok(value.detach()),
                    AverageStart::Zero => value.f_zeros_like(),
                };
                averaged.sums = before.map(first).collect::<Result<_, _>>()?;
            }
            for (sum, value) in averaged.sums.iter_mut().zip(now) {
                *sum = sum.f_mul_scalar(self.decay)?.f_add(&value.detach().f_mul_scalar(1.0 - self.decay)?)?;
            }
            averaged.steps += 1;
            Ok(())
        })
    }

    /// The average so far; no values before the first step.
    pub fn value(&self, averaged: &Averaged) -> Result<Vec<Tensor>, TchError> {
        let left = match self.start {
            AverageStart::Copy => return Ok(averaged.sums.iter().map(Tensor::shallow_clone).collect()),
            AverageStart::Zero => 1.0 - self.decay.powf(averaged.steps as f64),
        };
        averaged.sums.iter().map(|sum| sum.f_div_scalar(left)).collect()
    }
}
