//! Class weights for the cross entropy, by which all classes have the same weight, however many images they have.

use super::Objective;
use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// The weights of the images of a class in the loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ClassWeights {
    /// Every image has weight 1.
    None,
    /// An image of class k has weight N / (K n_k), with N images, K classes and n_k images of its class. The weights of
    /// all images sum to N, and those of each class that has images to N / K.
    Balanced,
}

impl ClassWeights {
    /// The weights \[K\] of the classes, for labels \[N\] int64; `None` where every image has weight 1. An error for
    /// balanced weights if labels are probabilities.
    pub fn weights(self, labels: &Tensor, classes: i64) -> Result<Option<Tensor>> {
        match self {
            ClassWeights::None => Ok(None),
            ClassWeights::Balanced => balanced(labels, classes).map(Some),
        }
    }

    /// The weights \[K\] for a training with this objective: as [`weights`](Self::weights), and an error if the
    /// objective cannot use weights.
    pub fn weights_for(self, objective: Objective, labels: &Tensor, classes: i64) -> Result<Option<Tensor>> {
        ensure!(
            self == ClassWeights::None || objective == Objective::CrossEntropy,
            "class_weights = \"balanced\" is for cross entropy, and this training has squared errors; take \
             class_weights = \"none\""
        );
        self.weights(labels, classes)
    }
}

/// The balanced weights \[K\]; that of a class without images is finite.
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
