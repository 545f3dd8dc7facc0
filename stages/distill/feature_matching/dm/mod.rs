//! `distill.dm`: moves synthetic images until random networks embed them, on average, like the real images of their
//! class. The equations are in `loss.rs`; the loop is that of the family, in `feature_matching/mod.rs`.

#![expect(non_snake_case, reason = "tensors carry their shape in their names; loss.rs has the legend")]

pub mod loss;

use super::{FeatureLoss, FeatureMatching};
use crate::context::{Context, Inputs, Outputs};
use crate::distill::synthesis::{ClassAugmentation, ClassImages};
use crate::params::{DsaParams, NetworkParams};
use anyhow::Result;
use ddpipe_nn::network::{Chunk, Network, Parameters};
use serde::Deserialize;
use tch::{Kind, TchError, Tensor};

/// The parameters, as `stage.toml` declares them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "stage.toml documents them")]
pub struct Params {
    #[serde(flatten)]
    pub matching: FeatureMatching,
    #[serde(flatten)]
    pub augment: DsaParams,
    #[serde(flatten)]
    pub network: NetworkParams,
}

/// Runs the stage.
pub fn run(ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    params.matching.run(ctx, inputs, &params.augment, &params.network, &MeanEmbedding)
}

/// The loss of DM; its targets are the mean embeddings \[K,D\] of the real images of each class.
struct MeanEmbedding;

impl FeatureLoss for MeanEmbedding {
    type Targets = Tensor;

    fn targets(
        &self,
        network: &Network,
        parameters: &Parameters,
        real: &ClassImages,
        chunk: Chunk,
    ) -> Result<Tensor, TchError> {
        loss::mean_embeddings(network, parameters, real, chunk)
    }

    fn loss_and_gradient(
        &self,
        network: &Network,
        parameters: &Parameters,
        mean_real_KD: &Tensor,
        synthetic: &ClassImages,
        augmentation: &ClassAugmentation,
        chunk: Chunk,
    ) -> Result<(Tensor, Tensor), TchError> {
        let matched = loss::match_embeddings(network, parameters, mean_real_KD, synthetic, augmentation, chunk)?;
        Ok((matched.per_class_K.f_sum(Kind::Float)?, matched.gradient_MCHW))
    }
}
