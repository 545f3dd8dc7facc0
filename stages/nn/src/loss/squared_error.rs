//! Squared errors of regression targets, and how class labels become targets.

use tch::{Kind, TchError, Tensor};

/// The sum over images of ½‖output - target‖², both \[B,K\].
pub fn half_squared_error(output_BK: &Tensor, target_BK: &Tensor) -> Result<Tensor, TchError> {
    output_BK.f_sub(target_BK)?.f_square()?.f_sum(output_BK.kind())?.f_div_scalar(2.0)
}

/// Regression targets \[B,K\] float32 of classes (\[B\] int64) or probabilities (\[B,K\]): their shares less 1/K, so that
/// every row sums to zero.
pub fn centred(labels: &Tensor, classes: i64) -> Result<Tensor, TchError> {
    let shares_BK = if labels.dim() == 2 { labels.shallow_clone() } else { labels.f_one_hot(classes)? };
    shares_BK.f_to_kind(Kind::Float)?.f_sub_scalar(1.0 / classes.max(1) as f64)
}
