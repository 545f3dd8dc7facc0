//! `distill.dm`: moves synthetic images until random networks embed them, on average, like the real images of their
//! class. The equations are in `loss.rs`; the loop is in `common/matching/`, which `distill.datadam` uses too.

#![expect(non_snake_case, reason = "tensors carry their shape in their names; loss.rs has the legend")]

pub mod loss;

use crate::common::augment::DsaParams;
use crate::common::matching::{ClassAugmentation, ClassImages, FeatureMatching, Features};
use crate::common::network::{Chunk, Network, NetworkParams, Parameters};
use crate::context::{Context, Inputs, Outputs};
use anyhow::Result;
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

/// \[K,D\] of the real images.
struct MeanEmbedding;

impl Features for MeanEmbedding {
    type Real = Tensor;

    fn of_real(
        &self,
        network: &Network,
        parameters: &Parameters,
        images: &ClassImages,
        chunk: Chunk,
    ) -> Result<Tensor, TchError> {
        loss::mean_embeddings(network, parameters, images, chunk)
    }

    fn compare(
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
