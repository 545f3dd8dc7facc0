//! Adam (Kingma and Ba 2015) and LAMB (You et al. 2020) as functions: parameters, gradients and moments come in, new ones
//! go out. They know no network and no schedule.

use super::joined::Joined;
use serde::Deserialize;
use tch::{TchError, Tensor};

/// Shares of the old moments that stay, and what keeps the division by a length from failing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Betas {
    /// Of the means of the gradients.
    pub first: f64,
    /// Of the means of their squares.
    pub second: f64,
    /// Added to every length.
    pub eps: f64,
}

impl Default for Betas {
    /// Those of the paper: 0.9, 0.999 and 1e-8.
    fn default() -> Self {
        Betas { first: 0.9, second: 0.999, eps: 1e-8 }
    }
}

/// An optimiser with moments of the gradients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Optimiser {
    /// θ -= rate · m̂ / (√v̂ + 1e-8).
    Adam,
    /// θ -= rate · ‖θ‖/‖u‖ · u with u = m̂ / (√v̂ + 1e-6), for every tensor by itself: the rate is a share of its length.
    Lamb,
}

/// Running moments of the gradients, one tensor each per parameter; empty before the first step.
#[derive(Debug, Default)]
pub struct Moments {
    /// Running means of the gradients.
    pub first: Vec<Tensor>,
    /// Running means of the squared gradients.
    pub second: Vec<Tensor>,
    /// Steps that were taken.
    pub steps: u64,
}

impl Optimiser {
    /// One step against the gradients; returns the new parameters and moves the moments on.
    pub fn step(
        self,
        rate: f64,
        parameters: &[Tensor],
        gradients: &[Tensor],
        moments: &mut Moments,
    ) -> Result<Vec<Tensor>, TchError> {
        // LAMB takes the length of every tensor by itself.
        let joined = Joined::of(parameters, gradients).filter(|_| self == Optimiser::Adam);
        let Some(joined) = joined else {
            return self.step_of_each(rate, parameters, gradients, moments);
        };
        tch::no_grad(|| {
            let mut as_one = joined.moments(moments, Joined::join)?;
            let (parameters, gradients) = (joined.join(parameters)?, joined.join(gradients)?);
            let stepped = self.step_of_each(rate, &parameters, &gradients, &mut as_one)?;
            *moments = joined.moments(&as_one, Joined::split)?;
            joined.split(&stepped)
        })
    }

    fn step_of_each(
        self,
        rate: f64,
        parameters: &[Tensor],
        gradients: &[Tensor],
        moments: &mut Moments,
    ) -> Result<Vec<Tensor>, TchError> {
        tch::no_grad(|| {
            let updates = moments.updates(gradients, Betas { eps: self.floor(), ..Betas::default() })?;
            let step = |(parameter, update): (&Tensor, Tensor)| {
                let update = match self {
                    Optimiser::Adam => update,
                    Optimiser::Lamb => update.f_mul(&trust(parameter, &update)?)?,
                };
                parameter.f_sub(&update.f_mul_scalar(rate)?)?.f_detach()
            };
            parameters.iter().zip(updates).map(step).collect()
        })
    }

    fn floor(self) -> f64 {
        match self {
            Optimiser::Adam => 1e-8,
            Optimiser::Lamb => 1e-6,
        }
    }
}

impl Moments {
    /// Takes the next gradients in, and returns m̂ / (√v̂ + eps) of each. Of a gradient that is undefined all of them are.
    pub fn updates(&mut self, gradients: &[Tensor], betas: Betas) -> Result<Vec<Tensor>, TchError> {
        tch::no_grad(|| {
            if self.first.is_empty() {
                let zeros = |gradient: &Tensor| match gradient.defined() {
                    true => gradient.f_zeros_like(),
                    false => Ok(Tensor::new()),
                };
                let zeros = || gradients.iter().map(zeros).collect::<Result<Vec<_>, _>>();
                (self.first, self.second) = (zeros()?, zeros()?);
            }
            self.steps += 1;
            let unbiased = |share: f64| 1.0 - share.powf(self.steps as f64);
            let (first_left, second_left) = (unbiased(betas.first), unbiased(betas.second));
            let moments = self.first.iter_mut().zip(&mut self.second);
            let update = |(gradient, (first, second)): (&Tensor, (&mut Tensor, &mut Tensor))| {
                if !gradient.defined() {
                    return Ok(Tensor::new());
                }
                *first = mixed(first, gradient, betas.first)?.f_detach()?;
                *second = mixed(second, &gradient.f_square()?, betas.second)?.f_detach()?;
                let length = second.f_div_scalar(second_left)?.f_sqrt()?.f_add_scalar(betas.eps)?;
                first.f_div_scalar(first_left)?.f_div(&length)
            };
            gradients.iter().zip(moments).map(update).collect()
        })
    }

    /// Forgets them, as before the first step.
    pub fn clear(&mut self) {
        *self = Moments::default();
    }
}

fn mixed(old: &Tensor, new: &Tensor, share: f64) -> Result<Tensor, TchError> {
    old.f_mul_scalar(share)?.f_add(&new.f_mul_scalar(1.0 - share)?)
}

/// ‖θ‖/‖u‖, or 1 where either is zero.
fn trust(parameter: &Tensor, update: &Tensor) -> Result<Tensor, TchError> {
    let (own, step) = (parameter.f_norm()?, update.f_norm()?);
    let known = own.f_mul(&step)?.f_gt(0.0)?;
    own.f_div(&step)?.f_where_self(&known, &own.f_ones_like()?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Two steps by hand: with the same gradient twice, m̂ = g and v̂ = g², so that every step of Adam is its sign.
    #[test]
    fn adam_goes_by_signs_and_lamb_by_lengths() {
        let gradients = [Tensor::from_slice(&[2.0f64, -0.5]), Tensor::from_slice(&[1.0f64])];
        let start = || [Tensor::from_slice(&[3.0f64, 4.0]), Tensor::from_slice(&[0.0f64])];
        let twice = |optimiser: Optimiser| {
            let mut moments = Moments::default();
            let once = optimiser.step(0.1, &start(), &gradients, &mut moments).unwrap();
            let twice = optimiser.step(0.1, &once, &gradients, &mut moments).unwrap();
            assert_eq!(moments.steps, 2);
            twice.iter().flat_map(|tensor| Vec::<f64>::try_from(tensor).unwrap()).collect::<Vec<_>>()
        };
        let close = |got: Vec<f64>, expected: [f64; 3]| {
            assert!(
                got.iter().zip(expected).all(|(got, expected)| (got - expected).abs() < 1e-6),
                "{got:?} {expected:?}"
            );
        };
        close(twice(Optimiser::Adam), [2.8, 4.2, -0.2]);
        // Of length 5, then of that of (3 - a, 4 + a) with a = 0.1 * 5/√2; the second tensor starts at length 0: trust 1,
        // then at length 0.1: a tenth of that.
        let first = 0.5 / f64::sqrt(2.0);
        let second = 0.1 * f64::hypot(3.0 - first, 4.0 + first) / f64::sqrt(2.0);
        close(twice(Optimiser::Lamb), [3.0 - first - second, 4.0 + first + second, -0.11]);
    }

    #[test]
    fn moments_forget_by_their_shares() {
        let (zero, mut moments) = ([Tensor::from_slice(&[0.0f64])], Moments::default());
        let once = Optimiser::Adam.step(1.0, &zero, &[Tensor::from_slice(&[1.0f64])], &mut moments).unwrap();
        let twice = Optimiser::Adam.step(1.0, &once, &[Tensor::from_slice(&[-3.0f64])], &mut moments).unwrap();
        let first = (0.9 * 0.1 - 0.1 * 3.0) / (1.0 - 0.81);
        let second = (0.999 * 0.001 + 0.001 * 9.0) / (1.0 - 0.999f64 * 0.999);
        let expected = -1.0 - first / second.sqrt();
        assert!((f64::try_from(&twice[0]).unwrap() - expected).abs() < 1e-6);
    }
}
