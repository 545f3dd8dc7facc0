//! What IDC compares (Kim et al. 2022, section 4.2 and algorithm 1; `matchloss` and `dist` of the authors' code): the
//! gradients that real and synthetic images of a class give a network, or the features that it has of them. Pure:
//! networks, weights and images come in, numbers go out. Augmentation and decoding are in `view.rs`.
//!
//! Legend: B images of a batch, C channels, H height, W width, K classes.

use crate::distill::gradient_matching::{MatchedGradient, constant_gradient, match_gradient};
use anyhow::{Result, bail, ensure};
use ddpipe_nn::autograd::leaf;
use ddpipe_nn::loss::cosine_distances;
use ddpipe_nn::network::{Architecture, Chunk, Mode, Network, Parameters, Pooling};
use ddpipe_nn::pieces::{self, Graph, Shared};
use serde::Deserialize;
use tch::{Kind, TchError, Tensor};

/// How far two tensors of the same shape are from each other. None is divided by the number of elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// The sum of squared differences.
    Mse,
    /// The sum of absolute differences.
    L1,
    /// The mean absolute difference of each row, summed over rows; a row is all of one place on the first axis.
    L1Mean,
    /// One minus the cosine of each row, summed over rows.
    Cos,
}

impl Metric {
    /// The distance, a scalar, with the graph of whichever side has one.
    pub fn between(self, real: &Tensor, synthetic: &Tensor) -> Result<Tensor, TchError> {
        let kind = synthetic.kind();
        let rows = |tensor: &Tensor| tensor.f_reshape([tensor.size().first().copied().unwrap_or(1), -1]);
        match self {
            Metric::Mse => synthetic.f_sub(real)?.f_square()?.f_sum(kind),
            Metric::L1 => synthetic.f_sub(real)?.f_abs()?.f_sum(kind),
            Metric::L1Mean => rows(&synthetic.f_sub(real)?.f_abs()?)?.f_mean_dim(1, false, kind)?.f_sum(kind),
            Metric::Cos => cosine_distances(&rows(real)?, &rows(synthetic)?)?.f_sum(kind),
        }
    }
}

/// What is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Matching {
    /// Gradients of the mean cross entropy: of the parameters with one axis (biases, factors of norms) if `bias`, of
    /// those with two (linear layers) if `fc`, and of all others.
    Gradients {
        /// See above.
        bias: bool,
        /// See above.
        fc: bool,
    },
    /// The mean over images of what leaves these blocks of a ConvNet, after pooling; counted from 0.
    Features {
        /// The blocks, counted from 0.
        blocks: Vec<usize>,
    },
}

/// What is compared, and how.
#[derive(Clone, Debug)]
pub struct Objective {
    matching: Matching,
    metric: Metric,
    pooling: Pooling,
}

impl Objective {
    /// For networks of this kind; an error where there would be nothing to compare.
    pub fn new(network: &Network, matching: Matching, metric: Metric) -> Result<Self> {
        let mut objective = Objective { matching, metric, pooling: Pooling::None };
        match (&objective.matching, &network.spec().architecture) {
            (Matching::Gradients { .. }, _) => {
                let compared = network.trainable().filter(|spec| objective.compares(spec.shape.len())).count();
                ensure!(
                    compared > 0,
                    "all weights of this network belong to linear layers, which are left out; set match_fc = true"
                );
            }
            (Matching::Features { blocks }, &Architecture::ConvNet { depth, pooling, .. }) => {
                if let Some(block) = blocks.iter().find(|&&block| block as i64 >= depth) {
                    bail!("blocks: there is no block {block}; this network has the blocks 0 to {}", depth - 1);
                }
                ensure!(!blocks.is_empty(), "blocks is empty; leave it out to compare what leaves the last block");
                objective.pooling = pooling;
            }
            (Matching::Features { .. }, _) => {
                bail!(
                    "match = \"features\" needs a convnet, whose blocks are known; choose one, or match = \"gradients\""
                )
            }
        }
        Ok(objective)
    }

    /// What the real images \[B,C,H,W\] of a class ask for, with their labels \[B\]; constants without a graph. Images go
    /// through the network a chunk at a time, which changes rounding only.
    pub fn target(
        &self,
        network: &Network,
        parameters: &Parameters,
        images_BCHW: &Tensor,
        labels: &Tensor,
        chunk: Chunk,
    ) -> Result<Vec<Tensor>, TchError> {
        let Matching::Features { blocks } = &self.matching else {
            return constant_gradient(network, parameters, images_BCHW, labels, chunk);
        };
        tch::no_grad(|| {
            let count = images_BCHW.size()[0];
            let parameters = Shared::new(parameters);
            let means = |part: Tensor| {
                let share = part.size()[0] as f64 / count as f64;
                let means = self.means(network, &parameters, &part, blocks)?;
                means.iter().map(|mean| mean.f_mul_scalar(share)).collect::<Result<Vec<_>, _>>()
            };
            let sum = |one: Vec<Tensor>, other: Vec<Tensor>| one.iter().zip(&other).map(|(a, b)| a.f_add(b)).collect();
            let device = images_BCHW.device();
            let parts = images_BCHW.f_split_with_sizes(network.pieces(images_BCHW, chunk), 0)?;
            Ok(pieces::fold(device, Graph::Without, parts, means, sum)?.unwrap_or_default())
        })
    }

    /// How far images \[B,C,H,W\] as the network sees them, with labels \[B\] or \[B,K\], are from a target, and the
    /// gradient with respect to them.
    pub fn matched(
        &self,
        network: &Network,
        parameters: &Parameters,
        target: &[Tensor],
        images_BCHW: &Tensor,
        labels: &Tensor,
    ) -> Result<MatchedGradient, TchError> {
        match &self.matching {
            Matching::Gradients { .. } => {
                let distance = |gradient: &[Tensor]| {
                    let pairs = target.iter().zip(gradient).filter(|(target, _)| self.compares(target.dim()));
                    self.sum(pairs)
                };
                match_gradient(network, parameters, images_BCHW, labels, Tensor::shallow_clone, distance)
            }
            Matching::Features { blocks } => {
                let images = leaf(images_BCHW)?;
                let means = self.means(network, parameters, &images, blocks)?;
                let distance = self.sum(target.iter().zip(&means))?;
                let gradient = Tensor::f_run_backward(&[&distance], &[&images], false, false)?.remove(0);
                Ok(MatchedGradient { distance: distance.detach(), gradient })
            }
        }
    }

    fn compares(&self, axes: usize) -> bool {
        match (&self.matching, axes) {
            (Matching::Gradients { bias, .. }, 0 | 1) => *bias,
            (Matching::Gradients { fc, .. }, 2) => *fc,
            _ => true,
        }
    }

    fn sum<'a>(&self, pairs: impl Iterator<Item = (&'a Tensor, &'a Tensor)>) -> Result<Tensor, TchError> {
        let parts = pairs.map(|(real, synthetic)| self.metric.between(real, synthetic));
        let parts = Tensor::f_stack(&parts.collect::<Result<Vec<_>, _>>()?, 0)?;
        parts.f_sum(parts.kind())
    }

    /// The mean features of each block, \[C,H,W\].
    fn means(
        &self,
        network: &Network,
        parameters: &Parameters,
        images_BCHW: &Tensor,
        blocks: &[usize],
    ) -> Result<Vec<Tensor>, TchError> {
        let activations = network.features(parameters, images_BCHW, Mode::Train)?.activations;
        blocks
            .iter()
            .map(|&block| self.pooling.apply(&activations[block], 2)?.f_mean_dim(0, false, None::<Kind>))
            .collect()
    }
}
