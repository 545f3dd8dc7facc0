//! `distill.datadam`: moves synthetic images until random networks attend to them, on average, as to the real images of
//! their class. The equations are in `loss.rs` and `ddpipe_nn::loss::attention`; the loop is that of the family, in
//! `feature_matching/mod.rs`.

pub mod loss;

use super::{FeatureLoss, FeatureMatching};
use crate::context::{Context, Inputs, Outputs};
use crate::distill::synthesis::{ClassAugmentation, ClassImages};
use crate::params::{DsaParams, NetworkParams};
use anyhow::Result;
use ddpipe_nn::network::{Chunk, Network, Norm, Parameters};
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

impl FeatureLoss for Settings {
    type Targets = ClassMeans;

    fn targets(
        &self,
        network: &Network,
        parameters: &Parameters,
        real: &ClassImages,
        chunk: Chunk,
    ) -> Result<ClassMeans, TchError> {
        loss::class_means(network, parameters, real, *self, chunk)
    }

    fn loss_and_gradient(
        &self,
        network: &Network,
        parameters: &Parameters,
        targets: &ClassMeans,
        synthetic: &ClassImages,
        augmentation: &ClassAugmentation,
        chunk: Chunk,
    ) -> Result<(Tensor, Tensor), TchError> {
        let matched = loss::match_means(network, parameters, targets, synthetic, augmentation, *self, chunk)?;
        Ok((matched.loss(), matched.gradient_MCHW))
    }
}
