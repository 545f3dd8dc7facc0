//! Cosine distance.

use tch::{TchError, Tensor};

/// Keeps the cosine of rows that vanish finite, as in the authors' code of gradient matching.
const EPS: f64 = 1e-6;

/// 1 - <a, b> / (|a| |b| + 1e-6) for every row of two matrices \[R,D\]: \[R\].
pub fn cosine_distances(a_RD: &Tensor, b_RD: &Tensor) -> Result<Tensor, TchError> {
    let product_R = a_RD.f_mul(b_RD)?.f_sum_dim_intlist(1, false, a_RD.kind())?;
    let length = |rows: &Tensor| rows.f_norm_scalaropt_dim(2, 1, false);
    let cosine_R = product_R.f_div(&length(a_RD)?.f_mul(&length(b_RD)?)?.f_add_scalar(EPS)?)?;
    cosine_R.f_neg()?.f_add_scalar(1.0)
}
