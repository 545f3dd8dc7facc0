//! Cross entropy in which the classes count as much as one another, however many images they have.

use super::{Gradient, Objective, gradient_of};
use crate::common::network::{Chunk, Network, Output, Parameters};
use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use tch::{Kind, Reduction, TchError, Tensor};

/// How much the images of a class count in the loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ClassWeights {
    /// Every image counts once.
    None,
    /// An image of class k counts N / (K n_k) times: N images, K classes, n_k images of its class. The weights of all
    /// images sum to N, and those of each class that has images to N / K.
    Balanced,
}

impl ClassWeights {
    /// The weights \[K\] of the classes for such labels; none where every image counts once.
    pub fn weights(self, labels: &Tensor, classes: i64) -> Result<Option<Tensor>> {
        match self {
            ClassWeights::None => Ok(None),
            ClassWeights::Balanced => balanced(labels, classes).map(Some),
        }
    }

    /// The loss of a training on images with these labels: \[N\] int64, or \[N,K\] probabilities or targets, which only
    /// `None` takes.
    pub fn weighting(self, objective: Objective, labels: &Tensor, classes: i64) -> Result<Weighting> {
        ensure!(
            self == ClassWeights::None || objective == Objective::CrossEntropy,
            "class_weights = \"balanced\" is for cross entropy, and this training has squared errors; take \
             class_weights = \"none\""
        );
        Ok(Weighting { objective, weights: self.weights(labels, classes)? })
    }
}

/// An objective, with weights for the classes where it is cross entropy.
#[derive(Debug)]
pub struct Weighting {
    objective: Objective,
    /// \[K\]; none where every image counts once.
    weights: Option<Tensor>,
}

impl Weighting {
    /// A direction for the training loop: that of the objective, or the gradient of the cross entropy times the weight of
    /// the image's class, averaged over the images of the batch.
    pub fn gradient(
        &self,
        network: &Network,
        parameters: &Parameters,
        images: &Tensor,
        labels: &Tensor,
        chunk: Chunk,
    ) -> Result<Gradient, TchError> {
        let Some(weights) = &self.weights else {
            return self.objective.direction()(network, parameters, images, labels, chunk);
        };
        let loss = |output: &Output, _: &Tensor, labels: &Tensor| {
            output.logits.f_cross_entropy_loss(labels, Some(weights), Reduction::Sum, -100, 0.0)
        };
        gradient_of(&loss, network, parameters, images, labels, chunk)
    }
}

/// The weights \[K\]; a class without images has a finite one.
fn balanced(labels: &Tensor, classes: i64) -> Result<Tensor> {
    ensure!(
        labels.dim() == 1,
        "class_weights = \"balanced\" needs one class for every image, and these labels are probabilities; take \
         class_weights = \"none\""
    );
    let counts = labels.f_bincount::<Tensor>(None, classes)?.f_to_kind(Kind::Double)?.f_clamp_min(1.0)?;
    let share = labels.size()[0] as f64 / classes as f64;
    Ok(counts.f_reciprocal()?.f_mul_scalar(share)?.f_to_kind(Kind::Float)?)
}
