//! Trajectory matching (Cazenavette et al., Dataset Distillation by Matching Training Trajectories, 2022): the steps of
//! a student on synthetic images, and how far it then is from where the expert went. Pure: parameters, images and draws
//! come in, numbers go out. The gradients of that distance are in `gradient.rs`.
//!
//! Legend: P parameters, M synthetic images, C channels, H height, W width, K classes, B images of a batch, N inner steps.

use crate::distill::trajectory_matching::inner::InnerStep;
use anyhow::Result;
use ddpipe_nn::augment::{Settings, apply};
use ddpipe_nn::loss::soft_cross_entropy;
use ddpipe_nn::network::{Mode, Network, Parameters};
use tch::{Reduction, TchError, Tensor};

/// What the inner steps learn from, and what is learnt about it.
#[derive(Debug)]
pub struct Learnt {
    /// \[M,C,H,W\].
    pub images_MCHW: Tensor,
    /// Labels of the images.
    pub labels: Labels,
    /// A number: the learning rate of the inner steps.
    pub lr: Tensor,
}

/// The labels of synthetic images.
#[derive(Debug)]
pub enum Labels {
    /// \[M\] int64, or probabilities \[M,K\]: they stay as they are.
    Fixed(Tensor),
    /// \[M,K\]: their softmax is the label, and they are learnt.
    Logits(Tensor),
}

/// A student that starts where an expert was and should arrive where the expert went.
pub struct Unrolling<'a> {
    /// The network of both; without batch statistics.
    pub network: &'a Network,
    /// \[P\], the expert's parameters at the start.
    pub start_P: &'a Tensor,
    /// \[P\], its parameters some epochs later.
    pub target_P: &'a Tensor,
    /// What every step learns from, in order.
    pub steps: &'a [InnerStep],
    /// Strength of the augmentation.
    pub settings: &'a Settings,
}

/// Where a student arrived, and what follows for the images.
#[derive(Debug)]
pub struct Matched {
    /// param_loss / param_dist: the loss of the method.
    pub loss: Tensor,
    /// Squared distance of the student's end from the target, over P.
    pub param_loss: Tensor,
    /// Squared distance of the start from the target, over P.
    pub param_dist: Tensor,
    /// \[P\] bool, the parameters that both are over; none where they are over all.
    pub kept_P: Option<Tensor>,
    /// \[P\], the student's parameters after the last step.
    pub end_P: Tensor,
    /// \[N\], the loss of every inner step, before it.
    pub inner_losses_N: Tensor,
    /// The gradients of `loss`.
    pub gradients: Gradients,
}

/// The gradients of the loss.
#[derive(Debug)]
pub struct Gradients {
    /// \[M,C,H,W\]; zero for images that no step used.
    pub images_MCHW: Tensor,
    /// A number.
    pub lr: Tensor,
    /// \[M,K\], of labels that are learnt.
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

    /// The same labels, those that are learnt as a leaf of a new graph.
    pub fn tracked(&self) -> Result<Labels, TchError> {
        Ok(match self {
            Labels::Fixed(labels) => Labels::Fixed(labels.shallow_clone()),
            Labels::Logits(logits) => Labels::Logits(logits.f_detach()?.f_set_requires_grad(true)?),
        })
    }

    /// The logits that are learnt, if any.
    pub fn logits(&self) -> Option<&Tensor> {
        match self {
            Labels::Fixed(_) => None,
            Labels::Logits(logits) => Some(logits),
        }
    }

    /// Mean cross entropy of a batch's logits \[B,K\].
    fn cross_entropy(&self, logits_BK: &Tensor) -> Result<Tensor, TchError> {
        match self {
            Labels::Fixed(labels) => {
                logits_BK.f_cross_entropy_loss(labels, None::<&Tensor>, Reduction::Mean, -100, 0.0)
            }
            Labels::Logits(target) => soft_cross_entropy(logits_BK, target),
        }
    }
}

impl Unrolling<'_> {
    /// The training loss of one inner step: the network with flat parameters \[P\], in training mode, on the step's
    /// images \[B,C,H,W\] under its augmentation.
    pub(super) fn inner_loss(
        &self,
        theta_P: &Tensor,
        images_BCHW: &Tensor,
        labels: &Labels,
        step: &InnerStep,
    ) -> Result<Tensor> {
        let parameters = Parameters { trainable: self.network.unflatten(theta_P)?, buffers: Vec::new() };
        let images = apply(images_BCHW, &step.operations, self.settings);
        let output = self.network.forward(&parameters, &images, Mode::Train)?;
        Ok(labels.cross_entropy(&output.logits)?)
    }

    /// Squared distances from the target, over P: of where the student arrived, and of where it started. Of the
    /// parameters in `kept_P` (bool) alone, where it is given.
    pub(super) fn distances(&self, end_P: &Tensor, kept_P: Option<&Tensor>) -> Result<(Tensor, Tensor), TchError> {
        let squares = |theta_P: &Tensor| match kept_P {
            None => theta_P.f_mse_loss(self.target_P, Reduction::Mean),
            Some(kept_P) => theta_P.f_mse_loss(self.target_P, Reduction::None)?.f_mul(kept_P)?.f_mean(theta_P.kind()),
        };
        Ok((squares(end_P)?, squares(self.start_P)?))
    }
}
