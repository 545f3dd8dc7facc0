//! Losses and gradients of a step of several students, whose parameters are stacked.

use super::batch::StackedBatch;
use crate::training::objective::softened_losses;
use crate::training::{Objective, right};
use ddpipe_nn::loss::centred;
use ddpipe_nn::network::{Mode, Network, Parameters};
use tch::{Reduction, TchError, Tensor};

/// What a step of all students gives.
pub struct StackedGradient {
    /// \[S\], the mean loss of each student's images, without a graph.
    pub losses_S: Tensor,
    /// \[S,B\] bool, which images were classified as their label says.
    pub right_SB: Tensor,
    /// Each student's own gradients, \[S,…\].
    pub gradients: Vec<Tensor>,
    /// The running statistics after the step, \[S,…\].
    pub buffers: Vec<Tensor>,
}

/// The gradients of each student's mean loss over its own images.
pub fn stacked_gradient(
    objective: Objective,
    network: &Network,
    stacked: &Parameters,
    batch: &StackedBatch,
) -> Result<StackedGradient, TchError> {
    let (students, each) = (batch.students, batch.each());
    let labels = &batch.batch.labels;
    let mut shape = batch.batch.images.size();
    shape.splice(0..1, [students, each]);
    tch::with_grad(|| {
        let leaves = network.tracked(stacked);
        let images_SBCHW = batch.batch.images.f_view(&shape[..])?;
        let (logits_SBK, buffers) = network.forward_stacked(&leaves, &images_SBCHW, Mode::Train)?;
        let logits = logits_SBK.f_flatten(0, 1)?;
        let losses = match objective {
            Objective::CrossEntropy => {
                logits.f_cross_entropy_loss(labels, None::<&Tensor>, Reduction::None, -100, 0.0)?
            }
            Objective::SquaredError { targets: true } => half_squared_errors(&logits, labels)?,
            Objective::SquaredError { targets: false } => {
                half_squared_errors(&logits, &centred(labels, network.spec().classes)?)?
            }
            Objective::Softened { temperature, divergence } => {
                softened_losses(&logits, labels, temperature, divergence)?
            }
        };
        // A student's parameters move its own loss alone, so the gradient of the sum has every student's own.
        let losses_S = losses.f_view([students, each])?.f_mean_dim(1, false, losses.kind())?;
        let total = losses_S.f_sum(losses_S.kind())?;
        let gradients = Tensor::f_run_backward(&[total], &leaves.trainable, false, false)?;
        let right_SB = right(&logits.detach(), labels)?.f_view([students, each])?;
        Ok(StackedGradient { losses_S: losses_S.detach(), right_SB, gradients, buffers })
    })
}

/// \[B\], ½‖output - target‖² of each image.
fn half_squared_errors(output_BK: &Tensor, target_BK: &Tensor) -> Result<Tensor, TchError> {
    let squares = output_BK.f_sub(target_BK)?.f_square()?;
    squares.f_sum_dim_intlist(1, false, squares.kind())?.f_div_scalar(2.0)
}
