//! What a manifest can say, and what follows from it: decoders, networks, what is compared.

use crate::artifact::{Dataset, Decoder, Formation};
use crate::distill::idc::loss::{Matching, Metric, Objective};
use crate::distill::idc::start::Init;
use crate::params::NetworkParams;
use anyhow::{Result, ensure};
use ddpipe_nn::augment::Strategy;
use ddpipe_nn::network::{Architecture, Network};
use serde::Deserialize;

/// The parameters, as `stage.toml` declares them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "stage.toml documents them")]
pub struct Params {
    pub ipc: Option<i64>,
    pub factor: i64,
    pub decode_type: DecodeType,
    pub init: Option<Init>,
    #[serde(rename = "match")]
    pub matched: Match,
    pub metric: Option<Metric>,
    pub match_bias: bool,
    pub match_fc: bool,
    pub blocks: Option<Vec<usize>>,
    pub iterations: u64,
    pub inner_loop: u64,
    pub iterations_per_network: u64,
    pub early_epochs: u64,
    pub train_images: u64,
    pub train_passes: u64,
    pub pretrained_epoch: u64,
    pub pretrained_epochs: u64,
    pub lr_img: f64,
    pub lr_base_size: f64,
    pub momentum_img: f64,
    pub batch_real: i64,
    pub batch_syn_max: i64,
    pub batch_train: i64,
    pub lr_net: f64,
    pub momentum_net: f64,
    pub weight_decay_net: f64,
    pub augment: Augment,
    pub strategy: Strategy,
    pub cutmix: f64,
    #[serde(flatten)]
    pub network: NetworkParams,
    pub chunk: Option<i64>,
}

/// Which grids are decoded in matching.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DecodeType {
    Single,
    Multi,
    Bound,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Match {
    Gradients,
    Features,
}

/// Which augmentation acts on real and synthetic images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Augment {
    None,
    Idc,
}

impl Params {
    /// How images are decoded in matching, and where the set is learnt from.
    pub fn decoders(&self) -> (Decoder, Decoder) {
        let formation = match self.decode_type {
            DecodeType::Single => Formation::Single,
            DecodeType::Multi => Formation::Multi,
            DecodeType::Bound => Formation::Bound(self.batch_syn_max),
        };
        let matching = Decoder { factor: self.factor, formation };
        // As published: the bound saves memory in matching, and is lifted where the set is learnt from.
        let stored = match self.decode_type {
            DecodeType::Bound => Decoder { formation: Formation::Single, ..matching },
            _ => matching,
        };
        (matching, stored)
    }

    /// The networks that the images meet.
    pub fn network(&self, real: &Dataset) -> Result<Network> {
        let network = self.network.network(real.image_shape(), real.classes)?;
        ensure!(
            !network.has_batch_statistics(),
            "{} has batch norms, which would see the images of one class at a time; choose a network with instance norm",
            self.network.arch
        );
        Ok(network)
    }

    /// What is compared in these networks.
    pub fn objective(&self, network: &Network) -> Result<Objective> {
        let (matching, metric) = match self.matched {
            Match::Gradients => (Matching::Gradients { bias: self.match_bias, fc: self.match_fc }, Metric::L1),
            Match::Features => {
                let last = match network.spec().architecture {
                    Architecture::ConvNet { depth, .. } => (depth - 1).max(0) as usize,
                    _ => 0,
                };
                (Matching::Features { blocks: self.blocks.clone().unwrap_or_else(|| vec![last]) }, Metric::Mse)
            }
        };
        Objective::new(network, matching, self.metric.unwrap_or(metric))
    }
}
