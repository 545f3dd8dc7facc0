//! Spatial attention maps: where a layer's features are strong (Zagoruyko and Komodakis, ICLR 2017; Sajedi et al., DataDAM,
//! 2023, section 3).
//!
//! Legend: B batch, C channels, H height, W width.

use serde::Deserialize;
use tch::{TchError, Tensor};

/// How an attention map is normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AttentionNorm {
    /// Divided by its 2-norm.
    L2,
    /// Divided by its 1-norm.
    L1,
    /// Divided by the sum of its squares, not the root of that: the `fro` of the authors' code.
    Fro,
    /// As it is.
    None,
}

/// Below this a norm is not divided by.
const EPS: f64 = 1e-12;

/// The attention maps \[B,H*W\] of features \[B,C,H,W\]: the sum over channels of |F|^exponent, normalised per image. A
/// mean over the channels gives the same up to rounding, unless the map is left as it is.
pub fn attention(feature_BCHW: &Tensor, exponent: f64, normalisation: AttentionNorm) -> Result<Tensor, TchError> {
    let strength = feature_BCHW.f_abs()?;
    let strength = if exponent == 1.0 { strength } else { strength.f_pow_tensor_scalar(exponent)? };
    let map = strength.f_sum_dim_intlist(1, false, strength.kind())?.f_flatten(1, -1)?;
    let divide = |order: f64| -> Result<Tensor, TchError> {
        let norm = map.f_norm_scalaropt_dim(order, [1i64], true)?.f_clamp_min(EPS)?;
        map.f_div(&norm)
    };
    match normalisation {
        AttentionNorm::L2 => divide(2.0),
        AttentionNorm::L1 => divide(1.0),
        AttentionNorm::Fro => map.f_div(&map.f_square()?.f_sum_dim_intlist(1, true, map.kind())?.f_clamp_min(EPS)?),
        AttentionNorm::None => Ok(map),
    }
}
