//! What a training makes smaller: cross entropy, or the squared distance from regression targets. Which of them suits a
//! set is decided once, here; the loop is handed a direction and knows neither.

use super::{Gradient, TrainingSet, gradient, gradient_of};
use crate::common::metrics::TestScores;
use crate::common::network::{Chunk, Network, Output, Parameters};
use anyhow::{Result, bail};
use serde::Deserialize;
use tch::{Kind, TchError, Tensor};

/// The loss that a manifest asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Criterion {
    /// What the set's labels are for.
    Auto,
    /// Cross entropy with classes or probabilities.
    CrossEntropy,
    /// Squared error.
    Mse,
}

/// What a training makes smaller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Objective {
    /// Mean cross entropy.
    #[default]
    CrossEntropy,
    /// Mean over the images of half the squared distance between what the network puts out and the target.
    SquaredError {
        /// Whether labels are targets as they are. Otherwise they are classes or probabilities, and are
        /// [`centred`] first.
        targets: bool,
    },
}

impl Objective {
    /// The loss that was asked for, on this set.
    pub fn of(criterion: Criterion, set: &TrainingSet) -> Result<Self> {
        let targets = matches!(set, TrainingSet::Synthetic(set) if set.targets);
        match criterion {
            Criterion::Mse => Ok(Objective::SquaredError { targets }),
            Criterion::Auto if targets => Ok(Objective::SquaredError { targets }),
            Criterion::CrossEntropy if targets => bail!(
                "loss = \"cross_entropy\", but the labels are regression targets and no probabilities; give loss = \
                 \"auto\", or hard labels by label.synthetic"
            ),
            Criterion::Auto | Criterion::CrossEntropy => Ok(Objective::CrossEntropy),
        }
    }

    /// The gradient of the loss, as the loop takes it.
    pub fn direction(self) -> impl Fn(&Network, &Parameters, &Tensor, &Tensor, Chunk) -> Result<Gradient, TchError> {
        move |network, parameters, images, labels, chunk| match self {
            Objective::CrossEntropy => gradient(network, parameters, images, labels, chunk),
            Objective::SquaredError { targets } => {
                let loss = |output: &Output, _: &Tensor, labels: &Tensor| {
                    let classes = network.spec().classes;
                    let targets = if targets { labels.shallow_clone() } else { centred(labels, classes)? };
                    half_squared_error(&output.logits, &targets)
                };
                gradient_of(&loss, network, parameters, images, labels, chunk)
            }
        }
    }

    /// A test's scores without those that such a network has not: what is fitted to targets is no logit, and a softmax
    /// of it does not say how sure the network is.
    pub fn scored(self, scores: TestScores) -> TestScores {
        match self {
            Objective::CrossEntropy => scores,
            Objective::SquaredError { .. } => TestScores { ece: None, ..scores },
        }
    }
}

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
