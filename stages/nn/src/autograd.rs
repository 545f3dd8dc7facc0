//! What gradients with respect to images, labels or parameters start from.

use tch::{TchError, Tensor};

/// The same values as a leaf of a new graph: gradients can be asked for with respect to it.
pub fn leaf(tensor: &Tensor) -> Result<Tensor, TchError> {
    tensor.f_detach()?.f_set_requires_grad(true)
}
