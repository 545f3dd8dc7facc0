//! Which network: its architecture with settings, and the images and classes it is for. A value that manifests,
//! checkpoints and models can hold; `plan.rs` makes the layers from it.

use super::NetworkError;
use serde::{Deserialize, Serialize};

/// The names that [`NetworkSpec::named`] takes, for messages.
pub(super) const KNOWN: &str = "\"convnet\" (with a depth in the name if wanted, \"convnet3\"), \"mlp\" and \"lenet\"";

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

/// An architecture with its settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Architecture {
    /// `depth` blocks of convolution, norm, activation and pooling; the standard network of dataset distillation.
    ConvNet {
        /// Channels of every block.
        width: i64,
        /// Number of blocks.
        depth: i64,
        /// After every norm.
        activation: Activation,
        /// After every convolution.
        norm: Norm,
        /// At the end of every block.
        pooling: Pooling,
    },
    /// Three linear layers with 128 hidden units.
    Mlp,
    /// LeNet-5 with ReLU and max pooling.
    LeNet,
}

/// The non-linearity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// max(x, 0).
    Relu,
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
    /// Per image and channel.
    #[serde(alias = "instancenorm")]
    Instance,
    /// Per channel over the batch, with running statistics.
    #[serde(alias = "batchnorm")]
    Batch,
    /// Per image over everything.
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
    /// Number of blocks (default 3).
    pub depth: Option<i64>,
    /// Default ReLU.
    pub activation: Option<Activation>,
    /// Default instance norm.
    pub norm: Option<Norm>,
    /// Default average pooling.
    pub pooling: Option<Pooling>,
}

impl NetworkSpec {
    /// The network of a name (`convnet3`, `convnet`, `mlp`, `lenet`) and settings, for images of `image` rows and
    /// columns. A setting that the architecture does not have is an error, so that no number of a table is computed
    /// with another network than its manifest says.
    pub fn named(
        name: &str,
        overrides: &Overrides,
        channels: i64,
        image: [i64; 2],
        classes: i64,
    ) -> Result<Self, NetworkError> {
        let architecture = match name {
            "mlp" => overrides.none_for(name).map(|()| Architecture::Mlp)?,
            "lenet" => overrides.none_for(name).map(|()| Architecture::LeNet)?,
            _ => convnet(name, overrides)?,
        };
        Ok(NetworkSpec { architecture, channels, image, classes })
    }
}

fn convnet(name: &str, overrides: &Overrides) -> Result<Architecture, NetworkError> {
    let unknown = || NetworkError::UnknownArchitecture(name.to_string());
    let digits = name.strip_prefix("convnet").ok_or_else(unknown)?;
    let named = match digits {
        "" => None,
        digits if digits.bytes().all(|digit| digit.is_ascii_digit()) => Some(digits.parse().map_err(|_| unknown())?),
        _ => return Err(unknown()),
    };
    if let (Some(named), Some(given)) = (named, overrides.depth)
        && named != given
    {
        return Err(NetworkError::TwoDepths { arch: name.to_string(), named, given });
    }
    Ok(Architecture::ConvNet {
        width: overrides.width.unwrap_or(128),
        depth: named.or(overrides.depth).unwrap_or(3),
        activation: overrides.activation.unwrap_or(Activation::Relu),
        norm: overrides.norm.unwrap_or(Norm::Instance),
        pooling: overrides.pooling.unwrap_or(Pooling::Average),
    })
}

impl Overrides {
    fn none_for(&self, arch: &str) -> Result<(), NetworkError> {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn named(name: &str, overrides: Overrides) -> Result<Architecture, NetworkError> {
        NetworkSpec::named(name, &overrides, 1, [28, 28], 10).map(|spec| spec.architecture)
    }

    #[test]
    fn the_depth_may_stand_in_the_name_or_beside_it() {
        let five = Overrides { depth: Some(5), ..Overrides::default() };
        assert_eq!(named("convnet5", Overrides::default()).unwrap(), named("convnet", five).unwrap());
        assert_eq!(named("convnet5", five).unwrap(), named("convnet", five).unwrap());
        let text = named("convnet3", five).unwrap_err().to_string();
        assert_eq!(text, "\"convnet3\" says depth 3, and `depth` says 5; write `convnet` or leave `depth` out");
    }

    #[test]
    fn names_and_settings_that_mean_nothing_are_refused() {
        for name in ["resnet", "convnetx", "convnet-1", "convnet99999999999999999999", ""] {
            let error = named(name, Overrides::default()).unwrap_err();
            assert!(matches!(error, NetworkError::UnknownArchitecture(_)), "{name}: {error}");
        }
        let error = named("mlp", Overrides { norm: Some(Norm::Batch), ..Overrides::default() }).unwrap_err();
        assert_eq!(error.to_string(), "mlp takes no `norm`; leave it out");
    }

    #[test]
    fn a_description_survives_being_written_and_read() {
        let spec = NetworkSpec::named("convnet2", &Overrides::default(), 3, [32, 48], 7).unwrap();
        let text = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<NetworkSpec>(&text).unwrap(), spec);
    }
}
