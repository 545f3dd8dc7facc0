//! Which network: its architecture with settings, and the images and classes it is for. A value that manifests,
//! checkpoints and models can hold; `builder.rs` makes the layers from it.

use super::{Architecture, NetworkError};
use serde::{Deserialize, Serialize};

/// One network, fully described.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkSpec {
    /// The architecture and its settings.
    pub architecture: Architecture,
    /// Channels of the images.
    pub channels: i64,
    /// Rows and columns of the images.
    pub image: [i64; 2],
    /// Number of classes, the length of the logits.
    pub classes: i64,
}

/// How a residual block halves its maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Downsampling {
    /// By convolutions of stride 2, and the last maps are averaged over 4x4.
    Stride,
    /// By average pooling after convolutions of stride 1, and the last maps are not averaged: the published `_AP`.
    Average,
}

/// The non-linearity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// max(x, 0).
    Relu,
    /// min(max(x, 0), 6).
    Relu6,
    /// Slope 0.01 below zero.
    LeakyRelu,
    /// 1 / (1 + exp(-x)).
    Sigmoid,
    /// x * sigmoid(x).
    Swish,
}

/// The normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Norm {
    /// Instance norm: per image and channel.
    #[serde(alias = "instancenorm")]
    Instance,
    /// Per channel over the batch, with running statistics.
    #[serde(alias = "batchnorm")]
    Batch,
    /// Layer norm: per image, over all channels and pixels.
    #[serde(alias = "layernorm")]
    Layer,
    /// Per image in four groups of channels.
    #[serde(alias = "groupnorm")]
    Group,
    /// None.
    None,
}

/// The pooling, 2x2 with stride 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// The average.
    #[serde(alias = "avgpooling")]
    Average,
    /// The largest.
    #[serde(alias = "maxpooling")]
    Max,
    /// None.
    None,
}

/// Settings beside an architecture's name; those absent keep the architecture's own default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Overrides {
    /// Channels of every block (default 128).
    pub width: Option<i64>,
    /// Number of blocks (default 3; of a transformer 6).
    pub depth: Option<i64>,
    /// Default ReLU.
    pub activation: Option<Activation>,
    /// Default instance norm; AlexNet has none by default.
    pub norm: Option<Norm>,
    /// Default average pooling.
    pub pooling: Option<Pooling>,
}

impl Overrides {
    /// The norm, if nothing else is given.
    pub(super) fn norm_for(&self, arch: &str) -> Result<Option<Norm>, NetworkError> {
        Overrides { norm: None, ..*self }.none_for(arch).map(|()| self.norm)
    }

    /// Nothing, or the error that names a setting which is given.
    pub(super) fn none_for(&self, arch: &str) -> Result<(), NetworkError> {
        let given = [
            ("width", self.width.is_some()),
            ("depth", self.depth.is_some()),
            ("activation", self.activation.is_some()),
            ("norm", self.norm.is_some()),
            ("pooling", self.pooling.is_some()),
        ];
        match given.iter().find(|(_, given)| *given) {
            Some((setting, _)) => Err(NetworkError::NotASetting { arch: arch.to_string(), setting }),
            None => Ok(()),
        }
    }
}
