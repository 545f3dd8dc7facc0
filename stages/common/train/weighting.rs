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

    /// The direction of a training on images with these labels (\[N\] int64, or \[N,K\] probabilities, which only
    /// `None` takes): that of the objective, or the gradient of the cross entropy times the weight of the image's class,
    /// averaged over the batch.
    pub fn direction(
        self,
        objective: Objective,
        labels: &Tensor,
        classes: i64,
    ) -> Result<impl Fn(&Network, &Parameters, &Tensor, &Tensor, Chunk) -> Result<Gradient, TchError>> {
        ensure!(
            self == ClassWeights::None || objective == Objective::CrossEntropy,
            "class_weights = \"balanced\" is for cross entropy, and this training has squared errors; take \
             class_weights = \"none\""
        );
        let weights = self.weights(labels, classes)?;
        let plain = objective.direction();
        Ok(move |network: &Network, parameters: &Parameters, images: &Tensor, labels: &Tensor, chunk| match &weights {
            None => plain(network, parameters, images, labels, chunk),
            Some(weights) => {
                let loss = |output: &Output, _: &Tensor, labels: &Tensor| {
                    output.logits.f_cross_entropy_loss(labels, Some(weights), Reduction::Sum, -100, 0.0)
                };
                gradient_of(&loss, network, parameters, images, labels, chunk)
            }
        })
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
