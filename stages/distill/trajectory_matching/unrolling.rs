//! Trajectory matching (Cazenavette et al., Dataset Distillation by Matching Training Trajectories, 2022): the steps of
//! a student on synthetic images, and its distance from the expert's later parameters. Pure functions of parameters,
//! images and draws. The gradients of that distance are in `gradient.rs`.
//!
//! Legend: P parameters, M synthetic images, C channels, H height, W width, K classes, B images of a batch, N inner steps.

use crate::distill::trajectory_matching::inner::InnerStep;
use anyhow::Result;
use ddpipe_nn::augment::Settings;
use ddpipe_nn::loss::soft_cross_entropy;
use ddpipe_nn::network::{Mode, Network, Parameters};
use ddpipe_nn::pieces::Readable;
use tch::{Reduction, TchError, Tensor};

/// The images, labels and learning rate of the inner steps.
#[derive(Debug)]
pub struct Learnt {
    /// \[M,C,H,W\], the normalised synthetic images.
    pub images_MCHW: Tensor,
    /// Labels of the images.
    pub labels: Labels,
    /// \[\], the learning rate of the inner steps.
    pub lr: Tensor,
}

/// The labels of synthetic images.
#[derive(Debug)]
pub enum Labels {
    /// Labels that are not learnt: classes \[M\] int64, or probabilities \[M,K\].
    Fixed(Tensor),
    /// Learnt labels: logits \[M,K\], whose softmax is the label.
    Logits(Tensor),
}

/// One segment of an expert's trajectory, and the inner steps of the student that is matched with it.
pub struct Unrolling<'a> {
    /// The architecture of student and expert; its normalisation must not use batch statistics.
    pub network: &'a Network,
    /// \[P\], the expert's parameters at the start epoch; the student starts with them.
    pub start_P: &'a Tensor,
    /// \[P\], the expert's parameters `expert_epochs` later: the target of the student.
    pub target_P: &'a Tensor,
    /// The inner steps in order: batch and augmentation of each.
    pub steps: &'a [InnerStep],
    /// The strength of the augmentation.
    pub settings: &'a Settings,
    /// Bytes that the graphs of all steps together may take; `None` for as many as they need.
    pub room: Option<u64>,
}

/// The result of the inner steps: the loss of the method and its gradients.
#[derive(Debug)]
pub struct Matched {
    /// \[\], param_loss / param_dist: the loss of the method.
    pub loss: Tensor,
    /// \[\], squared distance of the student's last parameters from the target, divided by P.
    pub param_loss: Tensor,
    /// \[\], squared distance of the start from the target, divided by P.
    pub param_dist: Tensor,
    /// \[P\] bool, the parameters over which both distances are summed; `None` for all parameters.
    pub kept_P: Option<Tensor>,
    /// \[P\], the student's parameters after the last step.
    pub end_P: Tensor,
    /// \[N\], the training loss of every inner step, at the parameters before the step.
    pub inner_losses_N: Tensor,
    /// The gradients of `loss` with respect to what is learnt.
    pub gradients: Gradients,
}

/// The gradients of the loss with respect to images, learning rate and labels.
#[derive(Debug)]
pub struct Gradients {
    /// \[M,C,H,W\], with respect to the images; zero for images that no step used.
    pub images_MCHW: Tensor,
    /// \[\], with respect to the learning rate.
    pub lr: Tensor,
    /// \[M,K\], with respect to the logits of learnt labels; `None` for fixed labels.
    pub logits_MK: Option<Tensor>,
}

impl Labels {
    /// Labels of the images at these positions (\[B\] int64).
    pub fn at(&self, positions: &Tensor) -> Result<Labels, TchError> {
        Ok(match self {
            Labels::Fixed(labels) => Labels::Fixed(labels.f_index_select(0, positions)?),
            Labels::Logits(logits) => Labels::Logits(logits.f_index_select(0, positions)?),
        })
    }

    /// The labels in parts of these sizes, in order.
    pub(super) fn split(&self, sizes: &[i64]) -> Result<Vec<Labels>, TchError> {
        let (tensor, label): (&Tensor, fn(Tensor) -> Labels) = match self {
            Labels::Fixed(labels) => (labels, Labels::Fixed),
            Labels::Logits(logits) => (logits, Labels::Logits),
        };
        Ok(tensor.f_split_with_sizes(sizes, 0)?.into_iter().map(label).collect())
    }

    /// The same labels; learnt logits are detached and become a leaf that requires a gradient.
    pub fn tracked(&self) -> Result<Labels, TchError> {
        Ok(match self {
            Labels::Fixed(labels) => Labels::Fixed(labels.shallow_clone()),
            Labels::Logits(logits) => Labels::Logits(logits.f_detach()?.f_set_requires_grad(true)?),
        })
    }

    /// The logits of learnt labels; `None` for fixed labels.
    pub fn logits(&self) -> Option<&Tensor> {
        match self {
            Labels::Fixed(_) => None,
            Labels::Logits(logits) => Some(logits),
        }
    }

    /// Mean cross entropy between the logits \[B,K\] of a batch and these labels.
    fn cross_entropy(&self, logits_BK: &Tensor) -> Result<Tensor, TchError> {
        match self {
            Labels::Fixed(labels) => {
                logits_BK.f_cross_entropy_loss(labels, None::<&Tensor>, Reduction::Mean, -100, 0.0)
            }
            Labels::Logits(target) => soft_cross_entropy(logits_BK, target),
        }
    }
}

// SAFETY: tensors and plain values.
unsafe impl Readable for Unrolling<'_> {}

impl Unrolling<'_> {
    /// The bytes that the graphs of all steps take together, about.
    pub fn graph_bytes(&self) -> u64 {
        let images: i64 = self.steps.iter().map(|step| step.positions.numel() as i64).sum();
        images.saturating_mul(self.network.second_order_bytes()).unsigned_abs()
    }

    /// Whether there is room for the graphs of all steps at once.
    pub fn fits(&self) -> bool {
        self.room.is_none_or(|room| self.graph_bytes() <= room)
    }

    /// The training loss of the network with flat parameters \[P\], in training mode, on images \[B,C,H,W\] as it sees
    /// them, averaged over these.
    pub(super) fn inner_loss(&self, theta_P: &Tensor, images_BCHW: &Tensor, labels: &Labels) -> Result<Tensor> {
        let parameters = Parameters { trainable: self.network.unflatten(theta_P)?, buffers: Vec::new() };
        let output = self.network.forward(&parameters, images_BCHW, Mode::Train)?;
        Ok(labels.cross_entropy(&output.logits)?)
    }

    /// Squared distances from the target, divided by P: that of `end_P`, and that of the start. With `kept_P` (bool),
    /// only the parameters that it marks are summed; the divisor stays P.
    pub(super) fn distances(&self, end_P: &Tensor, kept_P: Option<&Tensor>) -> Result<(Tensor, Tensor), TchError> {
        let squares = |theta_P: &Tensor| match kept_P {
            None => theta_P.f_mse_loss(self.target_P, Reduction::Mean),
            Some(kept_P) => theta_P.f_mse_loss(self.target_P, Reduction::None)?.f_mul(kept_P)?.f_mean(theta_P.kind()),
        };
        Ok((squares(end_P)?, squares(self.start_P)?))
    }
}
