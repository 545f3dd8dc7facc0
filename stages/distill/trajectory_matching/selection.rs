//! Which parameters count in the loss of trajectory matching (Li et al., Prioritize Alignment in Dataset Distillation,
//! 2024): not those that say least about the images, or not those of the first layers. Pure: where a student arrived and
//! where it should have comes in, a mask goes out.
//!
//! Legend: P parameters.

use serde::{Deserialize, Serialize};
use tch::{Kind, TchError, Tensor};

/// What parameters are left out by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Selector {
    /// Those with the smallest squared distance from the target, wherever they are in the network.
    Loss,
    /// The first ones in the order of the network's state dict, the shallow layers; the cut may go through a tensor.
    Depth,
}

/// How many parameters are left out, and which.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Selection {
    /// By what parameters are selected.
    pub by: Selector,
    /// Their share of P, from 0 to below 1; a fraction of a parameter is cut off.
    pub ratio: f64,
}

impl Selection {
    /// Every parameter counts.
    pub const ALL: Selection = Selection { by: Selector::Loss, ratio: 0.0 };

    /// \[P\] bool, the parameters that count for a student that arrived at end_P; none where all do. Of parameters at
    /// the same distance the first are left out.
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
