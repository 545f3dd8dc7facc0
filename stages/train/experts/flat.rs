//! The gradient for experts with flat trajectories: GSAM (Zhuang et al., Surrogate Gap Minimization Improves
//! Sharpness-Aware Training, 2022) in its adaptive form, as FTD uses it (Du et al., Minimizing the Accumulated
//! Trajectory Error to Improve Dataset Distillation, 2023). Pure functions of parameters, images and labels.

use crate::training::{Batch, Gradient, cross_entropy_gradient};
use ddpipe_nn::network::{Chunk, Network, Parameters};
use tch::{Kind, TchError, Tensor};

const EPS: f64 = 1e-12;

/// The settings of GSAM.
#[derive(Clone, Copy, Debug)]
pub struct Flat {
    /// The norm of the perturbation of the parameters.
    pub rho: f64,
    /// The weight of the part of the gradient at w that is orthogonal to the perturbed gradient; that part is
    /// subtracted.
    pub alpha: f64,
    /// Whether the perturbation of a parameter scales with its magnitude, as in adaptive SAM.
    pub adaptive: bool,
}

impl Flat {
    /// The GSAM gradient of a batch. With g0 the gradient at w, the perturbation is e = rho g0 / |g0| (adaptive: rho w²
    /// g0 / |w g0|). With g1 the gradient at w + e, the result is g1 minus alpha times the part of g0 that is
    /// orthogonal to g1. Norms and products are over all parameters together. Loss and number of correct predictions
    /// are those at w.
    pub fn gradient(
        &self,
        network: &Network,
        parameters: &Parameters,
        batch: &Batch,
        chunk: Chunk,
    ) -> Result<Gradient, TchError> {
        let here = cross_entropy_gradient(network, parameters, batch, chunk)?;
        let weights = &parameters.trainable;
        let steep: Vec<Tensor> = match self.adaptive {
            true => each(&here.gradients, weights, |gradient, weight| gradient.f_mul(weight))?,
            false => here.gradients.iter().map(Tensor::shallow_clone).collect(),
        };
        let scale = norm(&steep)?.f_add_scalar(EPS)?.f_reciprocal()?.f_mul_scalar(self.rho)?;
        let perturbed = each(weights, &here.gradients, |weight, gradient| {
            let along = if self.adaptive { gradient.f_mul(&weight.f_square()?)? } else { gradient.shallow_clone() };
            Ok(weight.f_add(&along.f_mul(&scale)?)?.detach())
        })?;
        let perturbed = Parameters { trainable: perturbed, buffers: parameters.detached().buffers };
        let there = cross_entropy_gradient(network, &perturbed, batch, chunk)?;

        let (length_here, length_there) = (norm(&here.gradients)?, norm(&there.gradients)?);
        let products = each(&here.gradients, &there.gradients, |a, b| a.f_mul(b)?.f_sum(Kind::Float))?;
        let product = Tensor::f_stack(&products, 0)?.f_sum(Kind::Float)?;
        let cosine = product.f_div(&length_here.f_mul(&length_there)?.f_add_scalar(EPS)?)?;
        let share = cosine.f_mul(&length_here)?.f_div(&length_there.f_add_scalar(EPS)?)?;
        let gradients = each(&here.gradients, &there.gradients, |here, there| {
            let vertical = here.f_sub(&there.f_mul(&share)?)?;
            there.f_sub(&vertical.f_mul_scalar(self.alpha)?)
        })?;
        Ok(Gradient { gradients, ..here })
    }
}

fn each(
    a: &[Tensor],
    b: &[Tensor],
    function: impl Fn(&Tensor, &Tensor) -> Result<Tensor, TchError>,
) -> Result<Vec<Tensor>, TchError> {
    a.iter().zip(b).map(|(a, b)| function(a, b)).collect()
}

/// \[\], the L2 norm over all tensors together.
fn norm(tensors: &[Tensor]) -> Result<Tensor, TchError> {
    let squares: Vec<Tensor> =
        tensors.iter().map(|tensor| tensor.f_square()?.f_sum(Kind::Float)).collect::<Result<_, TchError>>()?;
    Tensor::f_stack(&squares, 0)?.f_sum(Kind::Float)?.f_sqrt()
}
