//! The selection of parameters for the loss of trajectory matching (Li et al., Prioritize Alignment in Dataset
//! Distillation, 2024). It leaves out either the parameters that are closest to their target or those of the first
//! layers. Pure functions of the student's last parameters and the target.
//!
//! Legend: P parameters.

use serde::{Deserialize, Serialize};
use tch::{Kind, TchError, Tensor};

/// The criterion by which parameters are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Selector {
    /// Leaves out those with the smallest squared distance from the target, wherever they are in the network.
    Loss,
    /// Leaves out the first ones in the order of the network's state dict, those of the shallow layers; the cut may lie
    /// inside a tensor.
    Depth,
}

/// How many parameters are left out, and which.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Selection {
    /// The criterion of the selection.
    pub by: Selector,
    /// The share of P that is left out, from 0 to below 1; a fraction of a parameter is cut off.
    pub ratio: f64,
}

impl Selection {
    /// Keeps every parameter.
    pub const ALL: Selection = Selection { by: Selector::Loss, ratio: 0.0 };

    /// \[P\] bool, the parameters that are kept for a student whose last parameters are `end_P`; `None` if all are
    /// kept. Of parameters at the same distance the first are left out.
    pub fn kept(&self, end_P: &Tensor, target_P: &Tensor) -> Result<Option<Tensor>, TchError> {
        let count = end_P.size()[0];
        let dropped = (self.ratio * count as f64) as i64;
        if dropped == 0 {
            return Ok(None);
        }
        let places_P = Tensor::f_arange(count, (Kind::Int64, end_P.device()))?;
        let kept_P = match self.by {
            Selector::Depth => places_P.f_ge(dropped)?,
            Selector::Loss => {
                let order_P = end_P.f_sub(target_P)?.f_square()?.f_argsort_stable(true, 0, false)?;
                places_P.f_ge(0)?.f_index_fill(0, &order_P.f_narrow(0, 0, dropped)?, 0)?
            }
        };
        Ok(Some(kept_P))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_that_is_left_out_is_rounded_down_and_the_first_of_equals_goes() {
        let (end, target) =
            (Tensor::from_slice(&[3f32, 1.0, -1.0, 0.0, 2.0]), Tensor::zeros([5], (Kind::Float, tch::Device::Cpu)));
        let kept = |by, ratio| {
            let kept = Selection { by, ratio }.kept(&end, &target).unwrap();
            kept.map(|kept| Vec::<bool>::try_from(kept).unwrap())
        };
        assert_eq!(kept(Selector::Loss, 0.5), Some(vec![true, false, true, false, true]));
        assert_eq!(kept(Selector::Loss, 0.79), Some(vec![true, false, false, false, true]));
        assert_eq!(kept(Selector::Depth, 0.5), Some(vec![false, false, true, true, true]));
        assert_eq!(kept(Selector::Depth, 0.19), None);
        assert_eq!(Selection::ALL.kept(&end, &target).unwrap(), None);
    }
}
