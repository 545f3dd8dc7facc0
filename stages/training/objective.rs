//! What a training makes smaller: cross entropy, or the squared distance from regression targets. Which of them suits a
//! set is decided once, here; the loop is handed a function that gives the gradient and knows neither.

use super::{Batch, Gradient, Pass, TrainingSet, batch_gradient};
use anyhow::{Result, bail};
use ddpipe_nn::loss::{centred, half_squared_error};
use ddpipe_nn::metrics::TestScores;
use ddpipe_nn::network::{Chunk, Network, Output, Parameters};
use serde::Deserialize;
use tch::{Reduction, TchError, Tensor};

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

    /// The gradient of the loss averaged over a batch; with `weights` \[K\], which only cross entropy takes, every image's
    /// part of the loss counts as much as its class.
    pub fn gradient(
        self,
        weights: Option<&Tensor>,
        network: &Network,
        parameters: &Parameters,
        batch: &Batch,
        chunk: Chunk,
    ) -> Result<Gradient, TchError> {
        let loss = |output: &Output, part: &Batch| match self {
            Objective::CrossEntropy => {
                output.logits.f_cross_entropy_loss(&part.labels, weights, Reduction::Sum, -100, 0.0)
            }
            Objective::SquaredError { targets: true } => half_squared_error(&output.logits, &part.labels),
            Objective::SquaredError { targets: false } => {
                half_squared_error(&output.logits, &centred(&part.labels, network.spec().classes)?)
            }
        };
        batch_gradient(|leaves, part| Pass::through(network, leaves, part, loss), network, parameters, batch, chunk)
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
