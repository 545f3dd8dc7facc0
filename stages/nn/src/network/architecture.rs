//! Every architecture: its settings, its name in manifests, and the file that adds its layers.

use super::builder::Builder;
use super::spec::{Activation, Downsampling, NetworkSpec, Norm, Overrides, Pooling};
use super::{NetworkError, alexnet, cnn2, convnet, efficientnet, lenet, mlp, resnet, resnetv2, vgg, vit};
use serde::{Deserialize, Serialize};

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
    /// Blocks as a ConvNet's, each with channels of its own: what searches over random networks are made of.
    Cnn {
        /// Channels of each block.
        channels: Vec<i64>,
        /// Rows and columns of every convolution, an odd number; the padding makes up for it.
        kernel: i64,
        /// After every norm.
        activation: Activation,
        /// After every convolution.
        norm: Norm,
        /// At the end of every block.
        pooling: Pooling,
    },
    /// Three linear layers with 128 hidden units.
    Mlp,
    /// Three linear layers with 784 hidden units.
    Mlp784,
    /// Two convolutions and two linear layers, which teach it in a published exercise.
    Cnn2,
    /// LeNet-5 with ReLU and max pooling.
    LeNet,
    /// Five convolutions and one linear layer.
    AlexNet {
        /// After every convolution.
        norm: Norm,
    },
    /// VGG with one linear layer.
    Vgg {
        /// 11, 13, 16 or 19: the layers with weights in the paper, which has three linear ones.
        depth: i64,
        /// After every convolution.
        norm: Norm,
    },
    /// ResNet of basic blocks, in its form for small images.
    ResNet {
        /// 18 or 34: the layers with weights.
        depth: i64,
        /// After every convolution.
        norm: Norm,
        /// Where the maps get smaller.
        downsampling: Downsampling,
    },
    /// A small vision transformer on patches of 4x4.
    ViT {
        /// Channels of a token, a multiple of 32.
        width: i64,
        /// Number of blocks.
        depth: i64,
    },
    /// ResNet-50 with pre-activation, as timm has it.
    #[serde(rename = "resnetv2_50")]
    ResNetV2,
    /// MobileNetV2 at width 1.00, as timm has it.
    #[serde(rename = "mobilenetv2_100")]
    MobileNetV2,
    /// EfficientNet-B0, as timm has it.
    #[serde(rename = "efficientnet_b0")]
    EfficientNet,
}

impl Architecture {
    /// Adds the layers up to the embedding, and returns the name of the last linear layer.
    pub(super) fn build(&self, builder: &mut Builder) -> Result<&'static str, NetworkError> {
        match *self {
            Architecture::ConvNet { width, depth, activation, norm, pooling } => {
                let channels = std::iter::repeat_n(width, depth.max(0) as usize);
                convnet::build(builder, channels, convnet::Settings { kernel: 3, activation, norm, pooling })
            }
            Architecture::Cnn { ref channels, kernel, activation, norm, pooling } => {
                let settings = convnet::Settings { kernel, activation, norm, pooling };
                convnet::build(builder, channels.iter().copied(), settings)
            }
            Architecture::Mlp => Ok(mlp::build(builder, 128)),
            Architecture::Mlp784 => Ok(mlp::build(builder, 784)),
            Architecture::Cnn2 => cnn2::build(builder),
            Architecture::LeNet => lenet::build(builder),
            Architecture::AlexNet { norm } => alexnet::build(builder, norm),
            Architecture::Vgg { depth, norm } => vgg::build(builder, depth, norm),
            Architecture::ViT { width, depth } => vit::build(builder, width, depth),
            Architecture::ResNet { depth, norm, downsampling } => resnet::build(builder, depth, norm, downsampling),
            Architecture::ResNetV2 => resnetv2::build(builder),
            Architecture::MobileNetV2 => efficientnet::build_mobilenet(builder),
            Architecture::EfficientNet => efficientnet::build(builder),
        }
    }
}

impl NetworkSpec {
    /// The names that [`NetworkSpec::named`] takes, apart from `convnet` with a depth in the name (`convnet3`).
    pub const NAMES: [&str; 18] = [
        "convnet",
        "mlp",
        "mlp784",
        "cnn2",
        "lenet",
        "alexnet",
        "vgg11",
        "vgg13",
        "vgg16",
        "vgg19",
        "resnet18",
        "resnet34",
        "resnet18_ap",
        "resnet34_ap",
        "vit",
        "resnetv2_50",
        "mobilenetv2_100",
        "efficientnet_b0",
    ];

    /// The network of a name (`convnet3`, `convnet`, `vgg11`, `resnet18_ap`) and settings, for images of `image` rows and
    /// columns. A setting that the architecture does not have is an error, so that no number of a table is computed
    /// with another network than its manifest says.
    pub fn named(
        name: &str,
        overrides: &Overrides,
        channels: i64,
        image: [i64; 2],
        classes: i64,
    ) -> Result<Self, NetworkError> {
        use Downsampling::{Average, Stride};
        if !Self::NAMES.contains(&name) && !name.starts_with("convnet") {
            return Err(NetworkError::UnknownArchitecture(name.to_string()));
        }
        let norm = |default| overrides.norm_for(name).map(|norm| norm.unwrap_or(default));
        let vgg = |depth| norm(Norm::Instance).map(|norm| Architecture::Vgg { depth, norm });
        let resnet =
            |depth, downsampling| norm(Norm::Instance).map(|norm| Architecture::ResNet { depth, norm, downsampling });
        let architecture = match name {
            "mlp" => overrides.none_for(name).map(|()| Architecture::Mlp)?,
            "mlp784" => overrides.none_for(name).map(|()| Architecture::Mlp784)?,
            "cnn2" => overrides.none_for(name).map(|()| Architecture::Cnn2)?,
            "lenet" => overrides.none_for(name).map(|()| Architecture::LeNet)?,
            "alexnet" => norm(Norm::None).map(|norm| Architecture::AlexNet { norm })?,
            "vgg11" => vgg(11)?,
            "vgg13" => vgg(13)?,
            "vgg16" => vgg(16)?,
            "vgg19" => vgg(19)?,
            "resnet18" => resnet(18, Stride)?,
            "resnet34" => resnet(34, Stride)?,
            "resnet18_ap" => resnet(18, Average)?,
            "resnet34_ap" => resnet(34, Average)?,
            "vit" => {
                Overrides { width: None, depth: None, ..*overrides }.none_for(name)?;
                Architecture::ViT { width: overrides.width.unwrap_or(128), depth: overrides.depth.unwrap_or(6) }
            }
            "resnetv2_50" => overrides.none_for(name).map(|()| Architecture::ResNetV2)?,
            "mobilenetv2_100" => overrides.none_for(name).map(|()| Architecture::MobileNetV2)?,
            "efficientnet_b0" => overrides.none_for(name).map(|()| Architecture::EfficientNet)?,
            _ => convnet_named(name, overrides)?,
        };
        Ok(NetworkSpec { architecture, channels, image, classes })
    }
}

/// The names in words, for messages.
pub(super) fn known() -> String {
    let quoted = |name: &&str| match *name {
        "convnet" => "\"convnet\" (with a depth in the name if wanted, \"convnet3\")".to_string(),
        name => format!("{name:?}"),
    };
    let (last, others) = NetworkSpec::NAMES.split_last().unwrap_or((&"", &[]));
    format!("{} and {last:?}", others.iter().map(quoted).collect::<Vec<_>>().join(", "))
}

/// Whether the architecture of this name, if there is one, has a norm to choose.
pub fn takes_norm(name: &str) -> bool {
    let overrides = Overrides { norm: Some(Norm::Instance), ..Overrides::default() };
    !matches!(NetworkSpec::named(name, &overrides, 1, [1, 1], 1), Err(NetworkError::NotASetting { .. }))
}

fn convnet_named(name: &str, overrides: &Overrides) -> Result<Architecture, NetworkError> {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::network::Network;

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
    fn every_name_of_the_list_is_a_network() {
        NetworkSpec::NAMES.iter().for_each(|name| assert!(named(name, Overrides::default()).is_ok(), "{name}"));
        let text = named("convent3", Overrides::default()).unwrap_err().to_string();
        assert!(text.ends_with("\"mobilenetv2_100\" and \"efficientnet_b0\""), "{text}");
    }

    #[test]
    fn names_and_settings_that_mean_nothing_are_refused() {
        let names =
            ["resnet", "resnet50", "resnetv2", "mobilenetv2", "efficientnet_b1", "vgg12", "VGG11", "convnetx", ""];
        for name in names.into_iter().chain(["convnet-1", "convnet99999999999999999999"]) {
            let error = named(name, Overrides::default()).unwrap_err();
            assert!(matches!(error, NetworkError::UnknownArchitecture(_)), "{name}: {error}");
        }
        let error = named("mlp", Overrides { norm: Some(Norm::Batch), ..Overrides::default() }).unwrap_err();
        assert_eq!(error.to_string(), "mlp takes no `norm`; leave it out");
        let error = named("vgg11", Overrides { pooling: Some(Pooling::Max), ..Overrides::default() }).unwrap_err();
        assert_eq!(error.to_string(), "vgg11 takes no `pooling`; leave it out");
        let given = [
            ("width", Overrides { width: Some(128), ..Overrides::default() }),
            ("depth", Overrides { depth: Some(50), ..Overrides::default() }),
            ("activation", Overrides { activation: Some(Activation::Relu), ..Overrides::default() }),
            ("norm", Overrides { norm: Some(Norm::Batch), ..Overrides::default() }),
            ("pooling", Overrides { pooling: Some(Pooling::Average), ..Overrides::default() }),
        ];
        for name in ["resnetv2_50", "mobilenetv2_100", "efficientnet_b0"] {
            for (setting, overrides) in given {
                let error = named(name, overrides).unwrap_err();
                assert_eq!(error.to_string(), format!("{name} takes no `{setting}`; leave it out"));
            }
        }
        let with: Vec<&str> = ["convnet3", "vgg11", "resnet18_ap", "mlp", "vit", "resnetv2_50"]
            .into_iter()
            .filter(|name| takes_norm(name))
            .collect();
        assert_eq!(with, ["convnet3", "vgg11", "resnet18_ap"]);
    }

    #[test]
    fn the_norm_is_the_published_one_unless_another_is_named() {
        let batch = Overrides { norm: Some(Norm::Batch), ..Overrides::default() };
        let norm = |name, overrides| match named(name, overrides).unwrap() {
            Architecture::AlexNet { norm } | Architecture::Vgg { norm, .. } | Architecture::ResNet { norm, .. } => norm,
            other => panic!("{other:?}"),
        };
        assert_eq!(norm("alexnet", Overrides::default()), Norm::None);
        for name in ["vgg16", "resnet34", "resnet18_ap"] {
            assert_eq!(norm(name, Overrides::default()), Norm::Instance);
            assert_eq!(norm(name, batch), Norm::Batch);
        }
        assert_eq!(norm("alexnet", batch), Norm::Batch);
    }

    #[test]
    fn images_that_are_too_small_are_named_with_the_layer_that_finds_nothing() {
        let message = |name, image| {
            let spec = NetworkSpec::named(name, &Overrides::default(), 3, image, 10).unwrap();
            Network::new(&spec).unwrap_err().to_string()
        };
        let end = "is left of them; take fewer layers or larger images";
        let text = message("vgg11", [16, 16]);
        assert_eq!(text, format!("images of 16x16 are too small at layer features.28, where 1x1 {end}"));
        let text = message("resnet18", [24, 32]);
        assert_eq!(text, format!("images of 24x32 are too small at layer avg_pool, where 3x4 {end}"));
        let text = message("alexnet", [32, 4]);
        assert_eq!(text, format!("images of 32x4 are too small at layer features.12, where 8x1 {end}"));
    }

    #[test]
    fn every_architecture_takes_images_from_a_certain_size_on() {
        let laid = |name, norm, size| {
            let overrides = Overrides { norm, ..Overrides::default() };
            Network::new(&NetworkSpec::named(name, &overrides, 3, [size, size], 10).unwrap())
        };
        for (name, least) in [("vgg19", 32), ("resnet34", 25), ("alexnet", 8), ("lenet", 16)] {
            assert!(laid(name, None, least).is_ok(), "{name}");
            assert!(matches!(laid(name, None, least - 1), Err(NetworkError::ImageTooSmall { .. })), "{name}");
        }
        // Its last maps have one pixel of smaller images, which an instance norm makes zero.
        assert!(laid("resnet18_ap", None, 16).is_ok() && laid("resnet18_ap", Some(Norm::Batch), 8).is_ok());
        assert!(laid("resnet18_ap", None, 15).is_err() && laid("resnet18_ap", Some(Norm::Batch), 7).is_err());
        // These are padded so that a pixel is left of any image.
        for name in ["resnetv2_50", "mobilenetv2_100", "efficientnet_b0"] {
            let spec = NetworkSpec::named(name, &Overrides::default(), 3, [1, 33], 10).unwrap();
            assert!(Network::new(&spec).is_ok(), "{name}");
        }
    }

    #[test]
    fn a_description_survives_being_written_and_read() {
        let timm = ["resnetv2_50", "mobilenetv2_100", "efficientnet_b0"];
        let spec = |name| NetworkSpec::named(name, &Overrides::default(), 3, [32, 48], 7).unwrap();
        let named = ["convnet2", "alexnet", "vgg13", "resnet34_ap", "vit"].map(spec);
        let (activation, norm, pooling) = (Activation::Swish, Norm::Group, Pooling::Max);
        let architecture = Architecture::Cnn { channels: vec![16, 64], kernel: 5, activation, norm, pooling };
        let cnn = NetworkSpec { architecture, ..named[0].clone() };
        for spec in named.into_iter().chain([cnn]).chain(timm.map(spec)) {
            let text = serde_json::to_string(&spec).unwrap();
            assert_eq!(serde_json::from_str::<NetworkSpec>(&text).unwrap(), spec);
        }
    }

    /// Records and checkpoints of earlier versions hold this text.
    #[test]
    fn the_written_form_of_a_network_stays_as_it_is() {
        let spec = NetworkSpec::named("convnet3", &Overrides::default(), 1, [28, 28], 10).unwrap();
        let text = r#"{"architecture":{"convnet":{"width":128,"depth":3,"activation":"relu","norm":"instance","pooling":"average"}},"channels":1,"image":[28,28],"classes":10}"#;
        assert_eq!(serde_json::to_string(&spec).unwrap(), text);
        let spec = NetworkSpec::named("mobilenetv2_100", &Overrides::default(), 3, [64, 64], 2).unwrap();
        let text = r#"{"architecture":"mobilenetv2_100","channels":3,"image":[64,64],"classes":2}"#;
        assert_eq!(serde_json::to_string(&spec).unwrap(), text);
    }

    #[test]
    fn a_kernel_of_five_pads_so_that_maps_are_as_large_as_with_three() {
        let spec = |architecture| NetworkSpec { architecture, channels: 1, image: [28, 28], classes: 10 };
        let (activation, norm, pooling) = (Activation::Relu, Norm::Instance, Pooling::Average);
        let cnn = |channels: &[i64], kernel| Architecture::Cnn {
            channels: channels.into(),
            kernel,
            activation,
            norm,
            pooling,
        };
        let three = Network::new(&spec(cnn(&[32, 32], 3))).unwrap();
        let convnet = Architecture::ConvNet { width: 32, depth: 2, activation, norm, pooling };
        let convnet = Network::new(&spec(convnet)).unwrap();
        assert_eq!(three.parameters(), convnet.parameters());
        assert_eq!((three.flops(), three.embedding_size()), (convnet.flops(), convnet.embedding_size()));
        let five = Network::new(&spec(cnn(&[16, 64], 5))).unwrap();
        assert_eq!(five.embedding_size(), 64 * 8 * 8);
        let shapes: Vec<&[i64]> = five.parameters().iter().map(|parameter| parameter.shape.as_slice()).collect();
        assert_eq!((shapes[0], shapes[4]), ([16, 1, 5, 5].as_slice(), [64, 16, 5, 5].as_slice()));
        // Maps of 32x32 and 16x16, 25 weights for each pair of channels, and the linear layer.
        assert_eq!(five.flops(), 2 * (32 * 32 * 16 * 25 + 16 * 16 * 64 * 16 * 25 + 4096 * 10));

        let refused = |architecture| Network::new(&spec(architecture)).unwrap_err().to_string();
        assert_eq!(refused(cnn(&[16], 4)), "a kernel of 4x4 has no middle; take an odd size such as 3 or 5");
        assert_eq!(refused(cnn(&[16, 0], 3)), "a width of 0 is out of range; expected at least 1");
        assert_eq!(refused(cnn(&[], 3)), "a depth of 0 is out of range; expected at least 1");
    }
}
