//! The loss and its gradient: equations as functions of tensors. They know no stage, no file and no random draw, so that
//! golden cases can hold them to numbers of the authors' code.
//!
//! Legend: K classes, M synthetic images, C channels, H height, W width.

use crate::distill::synthesis::ClassImages;
use tch::{Kind, TchError, Tensor};

/// The sum over classes of ½‖mean of the synthetic images - mean of the real images‖², and its gradient with respect to
/// the synthetic images \[M,C,H,W\].
pub fn loss_and_gradient(real: &ClassImages, synthetic: &ClassImages) -> Result<(Tensor, Tensor), TchError> {
    let means = |images: &ClassImages| images.means(&images.images.flatten(1, -1));
    let difference_KD = means(synthetic)?.f_sub(&means(real)?)?;
    let loss = difference_KD.f_square()?.f_sum(Kind::Float)?.f_div_scalar(2.0)?;
    let counts = Tensor::from_slice(&synthetic.counts).to_device(synthetic.images.device());
    let share_KD = difference_KD.f_div(&counts.f_unsqueeze(1)?)?;
    let gradient = share_KD.f_repeat_interleave_self_tensor(&counts, 0, None)?;
    Ok((loss, gradient.f_view_as(&synthetic.images)?))
}
