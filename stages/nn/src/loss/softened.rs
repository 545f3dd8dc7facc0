//! What students learn from a teacher's probabilities, both softened by a temperature.
//!
//! Legend: B images of a batch, K classes.

use tch::{Kind, TchError, Tensor};

/// softmax(logits / T), \[B,K\] float32.
pub fn softened(logits_BK: &Tensor, temperature: f64) -> Result<Tensor, TchError> {
    logits_BK.f_div_scalar(temperature)?.f_softmax(1, Kind::Float)
}

/// Σ_k p (log p - log softmax(logits / T)) of each image for probabilities p, \[B\]: not times T², as SRe2L and RDED have it.
pub fn softened_divergences(logits_BK: &Tensor, p_BK: &Tensor, temperature: f64) -> Result<Tensor, TchError> {
    let own = p_BK.f_xlogy(p_BK)?.f_sum_dim_intlist([1i64].as_slice(), false, p_BK.kind())?;
    own.f_add(&softened_entropies(logits_BK, p_BK, temperature)?)
}

/// -Σ_k p log softmax(logits / T) of each image, \[B\]: the cross entropy, which has the same gradient.
pub fn softened_entropies(logits_BK: &Tensor, p_BK: &Tensor, temperature: f64) -> Result<Tensor, TchError> {
    let log_BK = logits_BK.f_div_scalar(temperature)?.f_log_softmax(1, None::<Kind>)?;
    p_BK.f_mul(&log_BK)?.f_sum_dim_intlist([1i64].as_slice(), false, log_BK.kind())?.f_neg()
}
