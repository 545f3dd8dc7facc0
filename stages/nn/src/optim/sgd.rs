//! Stochastic gradient descent with momentum and weight decay, as a function.

use serde::{Deserialize, Serialize};
use tch::{TchError, Tensor};

/// The settings that stay the same over a training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sgd {
    /// Share of the old velocity that stays.
    pub momentum: f64,
    /// Pull towards zero, on every parameter: biases and norms too, as in the published evaluations.
    pub weight_decay: f64,
}

impl Sgd {
    /// One step: g = gradient + weight_decay * θ; v = momentum * v + g, or g when `velocity` is empty, as it is before
    /// the first step; θ = θ - rate * v. Returns the new parameters and replaces `velocity`. A parameter whose gradient is
    /// undefined stays, without decay, and its velocity is undefined too.
    pub fn step(
        &self,
        rate: f64,
        parameters: &[Tensor],
        gradients: &[Tensor],
        velocity: &mut Vec<Tensor>,
    ) -> Result<Vec<Tensor>, TchError> {
        self.step_of(false, &|_| true, rate, parameters, gradients, velocity)
    }

    /// The same with weight decay for the parameters that `decays` names by their place, and with Nesterov's form on
    /// request: θ = θ - rate * (g + momentum * v).
    pub(super) fn step_of(
        &self,
        nesterov: bool,
        decays: &dyn Fn(usize) -> bool,
        rate: f64,
        parameters: &[Tensor],
        gradients: &[Tensor],
        velocity: &mut Vec<Tensor>,
    ) -> Result<Vec<Tensor>, TchError> {
        tch::no_grad(|| {
            let mut stepped = Vec::with_capacity(parameters.len());
            let mut moved = Vec::with_capacity(parameters.len());
            for (index, (parameter, gradient)) in parameters.iter().zip(gradients).enumerate() {
                if !gradient.defined() {
                    stepped.push(parameter.shallow_clone());
                    moved.push(Tensor::new());
                    continue;
                }
                let pulled = match self.weight_decay {
                    decay if decay != 0.0 && decays(index) => gradient.f_add(&parameter.f_mul_scalar(decay)?)?,
                    _ => gradient.shallow_clone(),
                };
                let speed = match velocity.get(index) {
                    Some(old) => pulled.f_add(&old.f_mul_scalar(self.momentum)?)?,
                    None => pulled.shallow_clone(),
                };
                let way =
                    if nesterov { pulled.f_add(&speed.f_mul_scalar(self.momentum)?)? } else { speed.shallow_clone() };
                stepped.push(parameter.f_sub(&way.f_mul_scalar(rate)?)?.detach());
                moved.push(speed.detach());
            }
            *velocity = moved;
            Ok(stepped)
        })
    }
}
