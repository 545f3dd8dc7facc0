//! The objective that a training minimises: cross entropy, or the squared distance from regression targets. The choice
//! for a set is made once, here; the training loop receives a function that returns the gradient.

use super::{Batch, Gradient, Pass, TrainingSet, batch_gradient};
use anyhow::{Result, bail};
use ddpipe_nn::loss::{centred, half_squared_error, softened_divergences, softened_entropies};
use ddpipe_nn::metrics::TestScores;
use ddpipe_nn::network::{Chunk, Network, Output, Parameters};
use ddpipe_nn::pieces::Shared;
use serde::Deserialize;
use tch::{Reduction, TchError, Tensor};

/// Parameter `loss`: the loss that a manifest asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Criterion {
    /// Squared error if the labels are regression targets, cross entropy otherwise.
    Auto,
    /// Cross entropy with classes or probabilities.
    CrossEntropy,
    /// Squared error between the network's outputs and targets.
    Mse,
}

/// The objective that a training minimises.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Objective {
    /// Mean cross entropy.
    #[default]
    CrossEntropy,
    /// Mean over the images of half the squared distance between the network's output and the target.
    SquaredError {
        /// Whether the labels are regression targets already. Otherwise they are classes or probabilities, and are
        /// [`centred`] first.
        targets: bool,
    },
    /// Mean over the images of the divergence from a teacher's probabilities, which are the labels, at a temperature.
    Softened {
        /// T: the network's logits are divided by it, as the teacher's were.
        temperature: f64,
        /// The divergence, which is 0 for the teacher itself; else the cross entropy, which has the same gradient.
        divergence: bool,
    },
}

impl Objective {
    /// The objective for this set by parameter `loss`. An error if cross entropy is asked for and the labels are
    /// regression targets.
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

    /// The gradient of the loss averaged over a batch. With `weights` \[K\], which only cross entropy uses, the loss of
    /// each image is multiplied by the weight of its class.
    pub fn gradient(
        self,
        weights: Option<&Tensor>,
        network: &Network,
        parameters: &Parameters,
        batch: &Batch,
        chunk: Chunk,
    ) -> Result<Gradient, TchError> {
        let weights = Shared::new(weights);
        let loss = |output: &Output, part: &Batch| match self {
            Objective::CrossEntropy => {
                output.logits.f_cross_entropy_loss(&part.labels, *weights, Reduction::Sum, -100, 0.0)
            }
            Objective::SquaredError { targets: true } => half_squared_error(&output.logits, &part.labels),
            Objective::SquaredError { targets: false } => {
                half_squared_error(&output.logits, &centred(&part.labels, network.spec().classes)?)
            }
            Objective::Softened { temperature, divergence } => {
                let losses = softened_losses(&output.logits, &part.labels, temperature, divergence)?;
                losses.f_sum(losses.kind())
            }
        };
        batch_gradient(|leaves, part| Pass::through(network, leaves, part, loss), network, parameters, batch, chunk)
    }

    /// The scores of a test without those that are not defined for this objective: with squared error the outputs are
    /// not logits, so there is no calibration error (ECE).
    pub fn scored(self, scores: TestScores) -> TestScores {
        match self {
            Objective::CrossEntropy | Objective::Softened { .. } => scores,
            Objective::SquaredError { .. } => TestScores { calibration: None, ..scores },
        }
    }
}

/// \[B\], the loss of each image by [`Objective::Softened`].
pub(super) fn softened_losses(
    logits_BK: &Tensor,
    labels_BK: &Tensor,
    temperature: f64,
    divergence: bool,
) -> Result<Tensor, TchError> {
    match divergence {
        true => softened_divergences(logits_BK, labels_BK, temperature),
        false => softened_entropies(logits_BK, labels_BK, temperature),
    }
}
