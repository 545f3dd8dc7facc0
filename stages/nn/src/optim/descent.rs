//! How a network's parameters move against their gradients: SGD, Adam or AdamW, with weight decay for all of them or for
//! the matrices among them.

use super::joined::Joined;
use super::{Betas, Moments, Sgd};
use crate::network::Network;
use tch::{TchError, Tensor};

/// The rule by which parameters move.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// Stochastic gradient descent; weight decay is part of the gradient.
    Sgd {
        /// Share of the old velocity that stays.
        momentum: f64,
        /// Whether a step goes on from where the velocity leads: θ = θ - rate * (g + momentum * v).
        nesterov: bool,
    },
    /// Adam (Kingma and Ba 2015); weight decay is part of the gradient.
    Adam(Betas),
    /// AdamW (Loshchilov and Hutter 2019): θ = θ - rate * decay * θ before every step.
    AdamW(Betas),
}

/// Which parameters weight decay pulls towards zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decayed {
    /// All of them, biases and norms included.
    #[default]
    All,
    /// Weights of two or more axes: convolutions and linear layers.
    Matrices,
}

/// A rule with its weight decay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Descent {
    /// How parameters move.
    pub rule: Rule,
    /// The pull towards zero.
    pub weight_decay: f64,
    /// What is pulled.
    pub decayed: Decayed,
}

/// What an optimiser remembers from step to step; empty before the first one.
#[derive(Debug, Default)]
pub struct Memory {
    /// The velocities of SGD, one per trainable parameter; undefined for frozen ones.
    pub velocity: Vec<Tensor>,
    /// The moments of Adam and AdamW.
    pub moments: Moments,
}

impl Memory {
    /// Forgets everything, as a new optimiser does.
    pub fn clear(&mut self) {
        *self = Memory::default();
    }
}

impl From<Sgd> for Descent {
    fn from(Sgd { momentum, weight_decay }: Sgd) -> Self {
        Descent { rule: Rule::Sgd { momentum, nesterov: false }, weight_decay, decayed: Decayed::All }
    }
}

impl Descent {
    /// One step against the gradients of the network's trainable parameters, or of several such networks that are stacked
    /// (\[S,…\] each); what stands behind them counts as matrices. Returns the new parameters and moves the memory on. A
    /// parameter whose gradient is undefined stays as it is.
    pub fn step(
        &self,
        network: &Network,
        rate: f64,
        parameters: &[Tensor],
        gradients: &[Tensor],
        memory: &mut Memory,
    ) -> Result<Vec<Tensor>, TchError> {
        // Where not all parameters decay, they are no one vector.
        let alike = self.weight_decay == 0.0 || self.decayed == Decayed::All;
        let joined = Joined::of(parameters, gradients).filter(|_| alike);
        let Some(joined) = joined else {
            return self.step_of_each(network, rate, parameters, gradients, memory);
        };
        tch::no_grad(|| {
            let moments = joined.moments(&memory.moments, Joined::join)?;
            let mut as_one = Memory { velocity: joined.join(&memory.velocity)?, moments };
            let (parameters, gradients) = (joined.join(parameters)?, joined.join(gradients)?);
            let stepped = self.step_of_each(network, rate, &parameters, &gradients, &mut as_one)?;
            let moments = joined.moments(&as_one.moments, Joined::split)?;
            *memory = Memory { velocity: joined.split(&as_one.velocity)?, moments };
            joined.split(&stepped)
        })
    }

    fn step_of_each(
        &self,
        network: &Network,
        rate: f64,
        parameters: &[Tensor],
        gradients: &[Tensor],
        memory: &mut Memory,
    ) -> Result<Vec<Tensor>, TchError> {
        let matrices: Option<Vec<bool>> = match self.decayed {
            Decayed::All => None,
            Decayed::Matrices => {
                Some(network.trainable().map(|spec| spec.shape.len() > 1 && spec.name.contains("weight")).collect())
            }
        };
        let decays = |place: usize| matrices.as_ref().and_then(|matrices| matrices.get(place).copied()).unwrap_or(true);
        let betas = match self.rule {
            Rule::Sgd { momentum, nesterov } => {
                let sgd = Sgd { momentum, weight_decay: self.weight_decay };
                return sgd.step_of(nesterov, &decays, rate, parameters, gradients, &mut memory.velocity);
            }
            Rule::Adam(betas) | Rule::AdamW(betas) => betas,
        };
        let decoupled = matches!(self.rule, Rule::AdamW(_));
        tch::no_grad(|| {
            let decay = |place: usize| if decays(place) { self.weight_decay } else { 0.0 };
            let pulled = |(place, (gradient, parameter)): (usize, (&Tensor, &Tensor))| match decay(place) {
                decay if decay != 0.0 && !decoupled && gradient.defined() => {
                    gradient.f_add(&parameter.f_mul_scalar(decay)?)
                }
                _ => Ok(gradient.shallow_clone()),
            };
            let pulled: Vec<Tensor> =
                gradients.iter().zip(parameters).enumerate().map(pulled).collect::<Result<_, _>>()?;
            let updates = memory.moments.updates(&pulled, betas)?;
            let step = |(place, (parameter, update)): (usize, (&Tensor, Tensor))| {
                if !update.defined() {
                    return Ok(parameter.shallow_clone());
                }
                let kept = match decay(place) {
                    decay if decay != 0.0 && decoupled => parameter.f_mul_scalar(1.0 - rate * decay)?,
                    _ => parameter.shallow_clone(),
                };
                Ok(kept.f_sub(&update.f_mul_scalar(rate)?)?.detach())
            };
            parameters.iter().zip(updates).enumerate().map(step).collect()
        })
    }
}
