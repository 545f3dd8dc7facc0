//! What gradients with respect to images, labels or parameters start from, and how they go on through what was computed.

use tch::{TchError, Tensor};

/// The same values as a leaf of a new graph: gradients can be asked for with respect to it.
pub fn leaf(tensor: &Tensor) -> Result<Tensor, TchError> {
    tensor.f_detach()?.f_set_requires_grad(true)
}

/// The vector-Jacobian product: the gradient with respect to a leaf, given the gradient with respect to what was computed from
/// it (`slope`, in the shape of `output`).
pub fn pulled_back(output: &Tensor, slope: &Tensor, leaf: &Tensor) -> Result<Tensor, TchError> {
    let along = output.f_mul(slope)?.f_sum(output.kind())?;
    Ok(Tensor::f_run_backward(&[along], &[leaf], false, false)?.remove(0))
}
