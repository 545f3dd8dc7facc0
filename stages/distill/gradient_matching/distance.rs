//! How far two gradients of a network are from each other (Zhao, Mopuri, Bilen, Dataset Condensation with Gradient
//! Matching, 2021, section 3.3 and appendix). A gradient is one tensor per trainable parameter. Pure; knows no network.

use ddpipe_nn::loss::cosine_distances;
use serde::{Deserialize, Serialize};
use tch::{TchError, Tensor};

/// A distance between gradients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Distance {
    /// The sum of [`layer_distances`].
    Ours,
    /// The sum of the squared differences of all numbers.
    Mse,
    /// One minus the cosine of the angle between all numbers, as two vectors.
    Cos,
}

impl Distance {
    /// The distance, a scalar, with the graph of whichever side has one.
    pub fn between(self, real: &[Tensor], synthetic: &[Tensor]) -> Result<Tensor, TchError> {
        let whole = |gradient: &[Tensor]| -> Result<Tensor, TchError> {
            let parts: Result<Vec<_>, _> = gradient.iter().map(|tensor| tensor.f_flatten(0, -1)).collect();
            Tensor::f_cat(&parts?, 0)
        };
        let parts = match self {
            Distance::Ours => Tensor::f_stack(&layer_distances(real, synthetic)?, 0)?,
            Distance::Mse => whole(synthetic)?.f_sub(&whole(real)?)?.f_square()?,
            Distance::Cos => cosine_distances(&whole(real)?.f_unsqueeze(0)?, &whole(synthetic)?.f_unsqueeze(0)?)?,
        };
        parts.f_sum(parts.kind())
    }
}

impl Distance {
    /// Whether a parameter of this shape counts.
    pub fn counts(self, shape: &[i64]) -> bool {
        self != Distance::Ours || shape.len() >= 2
    }

    /// The distances \[K\] of K gradients of either side, in one: \[K,…\] of every parameter. Those that do not count may be
    /// undefined.
    pub fn between_each(self, real: &[Tensor], synthetic: &[Tensor]) -> Result<Tensor, TchError> {
        let counted: Vec<_> =
            real.iter().zip(synthetic).filter(|(real, _)| real.defined() && self.counts(&real.size()[1..])).collect();
        if self == Distance::Ours {
            let layers = counted.iter().map(|(real, synthetic)| {
                let rows_KR = [real.size()[0], real.size()[1]];
                let rows = |gradient: &Tensor| gradient.f_flatten(2, -1)?.f_flatten(0, 1);
                let distances_KR = cosine_distances(&rows(real)?, &rows(synthetic)?)?.f_view(rows_KR)?;
                distances_KR.f_sum_dim_intlist(1, false, real.kind())
            });
            let layers_LK = Tensor::f_stack(&layers.collect::<Result<Vec<_>, TchError>>()?, 0)?;
            return layers_LK.f_sum_dim_intlist(0, false, layers_LK.kind());
        }
        let (real, synthetic): (Vec<_>, Vec<_>) = counted.into_iter().unzip();
        let whole = |gradient: &[&Tensor]| -> Result<Tensor, TchError> {
            let parts: Result<Vec<_>, _> = gradient.iter().map(|tensor| tensor.f_flatten(1, -1)).collect();
            Tensor::f_cat(&parts?, 1)
        };
        let (real_KP, synthetic_KP) = (whole(&real)?, whole(&synthetic)?);
        match self {
            Distance::Cos => cosine_distances(&real_KP, &synthetic_KP),
            _ => synthetic_KP.f_sub(&real_KP)?.f_square()?.f_sum_dim_intlist(1, false, real_KP.kind()),
        }
    }
}

/// Equation 10 for each parameter: the rows of a tensor belong to one output each (the weights of an output channel, of
/// a linear layer's output, the channel of a layer norm), and their distances are one minus the cosine, summed. A tensor
/// with one axis, which is a bias or the factors of a norm, counts nothing.
pub fn layer_distances(real: &[Tensor], synthetic: &[Tensor]) -> Result<Vec<Tensor>, TchError> {
    let distance = |(real, synthetic): (&Tensor, &Tensor)| {
        if real.dim() < 2 {
            return Tensor::f_zeros([0i64; 0], (real.kind(), real.device()));
        }
        let distances = cosine_distances(&real.f_flatten(1, -1)?, &synthetic.f_flatten(1, -1)?)?;
        distances.f_sum(distances.kind())
    };
    real.iter().zip(synthetic).map(distance).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn number(tensor: &Tensor) -> f64 {
        f64::try_from(tensor).unwrap()
    }

    /// Rows that agree, are at right angles and are opposite, and a bias.
    #[test]
    fn only_tensors_with_rows_count_in_ours_and_all_numbers_in_the_others() {
        let rows = |values: [f64; 6]| Tensor::from_slice(&values).view([3, 2, 1, 1]);
        let real = [rows([1.0, 0.0, 1.0, 0.0, 1.0, 0.0]), Tensor::from_slice(&[1.0, 2.0])];
        let synthetic = [rows([2.0, 0.0, 0.0, 3.0, -4.0, 0.0]), Tensor::from_slice(&[0.0, 5.0])];
        let close = |got: f64, expected: f64| assert!((got - expected).abs() < 1e-5, "{got}, expected {expected}");
        let parts = layer_distances(&real, &synthetic).unwrap();
        // Cosines of 1, 0 and -1.
        close(number(&parts[0]), 1.0 + 2.0);
        assert_eq!(number(&parts[1]), 0.0);
        close(number(&Distance::Ours.between(&real, &synthetic).unwrap()), 3.0);
        close(number(&Distance::Mse.between(&real, &synthetic).unwrap()), 1.0 + 1.0 + 9.0 + 25.0 + 1.0 + 9.0);
        let cosine = (2.0 - 4.0 + 10.0) / (8.0f64.sqrt() * 54.0f64.sqrt());
        close(number(&Distance::Cos.between(&real, &synthetic).unwrap()), 1.0 - cosine);
    }

    #[test]
    fn a_gradient_that_vanishes_is_as_far_as_one_at_a_right_angle_and_its_pull_is_finite() {
        let (real, dead) = (Tensor::from_slice(&[1.0, 2.0]).view([1, 2]), Tensor::zeros([1, 2], tch::kind::DOUBLE_CPU));
        for distance in [Distance::Ours, Distance::Cos] {
            let leaf = dead.copy().set_requires_grad(true);
            let far = distance.between(std::slice::from_ref(&real), &[leaf.shallow_clone()]).unwrap();
            assert_eq!(number(&far), 1.0);
            let pull = Tensor::run_backward(&[far], &[leaf], false, false).remove(0);
            assert!(bool::try_from(pull.isfinite().all()).unwrap());
        }
    }
}
