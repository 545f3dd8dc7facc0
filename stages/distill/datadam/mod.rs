//! `distill.datadam`: moves synthetic images until random networks attend to them, on average, as to the real images of
//! their class. The equations are in `attention.rs` and `loss.rs`; the loop is in `common/matching/`, which `distill.dm`
//! uses too.

pub mod attention;
pub mod loss;

use crate::common::augment::DsaParams;
use crate::common::matching::{ClassAugmentation, ClassImages, FeatureMatching, Features};
use crate::common::network::{Chunk, Network, NetworkParams, Norm, Parameters};
use crate::context::{Context, Inputs, Outputs};
use anyhow::Result;
use loss::{ClassMeans, Settings};
use serde::Deserialize;
use tch::{TchError, Tensor};

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
    pub loss: Settings,
    #[serde(flatten)]
    pub network: NetworkParams<Norm>,
}

/// Runs the stage.
pub fn run(ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    let network = params.network.unless_default(Norm::Batch);
    params.matching.run(ctx, inputs, &params.augment, &network, &params.loss)
}

impl Features for Settings {
    type Real = ClassMeans;

    fn of_real(
        &self,
        network: &Network,
        parameters: &Parameters,
        images: &ClassImages,
        chunk: Chunk,
    ) -> Result<ClassMeans, TchError> {
        loss::class_means(network, parameters, images, *self, chunk)
    }

    fn compare(
        &self,
        network: &Network,
        parameters: &Parameters,
        real: &ClassMeans,
        synthetic: &ClassImages,
        augmentation: &ClassAugmentation,
        chunk: Chunk,
    ) -> Result<(Tensor, Tensor), TchError> {
        let matched = loss::match_means(network, parameters, real, synthetic, augmentation, *self, chunk)?;
        Ok((matched.loss(), matched.gradient_MCHW))
    }
}
