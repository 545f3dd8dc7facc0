//! MobileNetV2 (Sandler et al., CVPR 2018) and EfficientNet-B0 (Tan and Le, ICML 2019) as timm's `mobilenetv2_100` and
//! `efficientnet_b0` have them. Both lay inverted residuals in the same way, with a batch norm after every convolution:
//! the second has other numbers, SiLU instead of ReLU6, and squeeze-and-excitation. No dropout, no stochastic depth.

use super::NetworkError;
use crate::network::builder::Builder;
use crate::network::init::InitScheme;
use crate::network::layer::Kernel;
use crate::network::spec::{Activation, Norm};

/// A row of the paper's table.
struct Stage {
    blocks: i64,
    kernel: i64,
    /// Of the first block; the others have 1.
    stride: i64,
    channels: i64,
}

const fn stage(blocks: i64, kernel: i64, stride: i64, channels: i64) -> Stage {
    Stage { blocks, kernel, stride, channels }
}

/// What distinguishes the two.
struct Family {
    stages: [Stage; 7],
    activation: Activation,
    /// Whether the channels of a block are weighed by what the whole maps show.
    excited: bool,
}

const MOBILENET_V2: Family = Family {
    stages: [
        stage(1, 3, 1, 16),
        stage(2, 3, 2, 24),
        stage(3, 3, 2, 32),
        stage(4, 3, 2, 64),
        stage(3, 3, 1, 96),
        stage(3, 3, 2, 160),
        stage(1, 3, 1, 320),
    ],
    activation: Activation::Relu6,
    excited: false,
};

const EFFICIENTNET_B0: Family = Family {
    stages: [
        stage(1, 3, 1, 16),
        stage(2, 3, 2, 24),
        stage(2, 5, 2, 40),
        stage(3, 3, 2, 80),
        stage(3, 5, 1, 112),
        stage(4, 5, 2, 192),
        stage(1, 3, 1, 320),
    ],
    activation: Activation::Swish,
    excited: true,
};

/// Channels of the first convolution.
const STEM: i64 = 32;
/// Channels of the last one, the length of the embedding.
const HEAD: i64 = 1280;
/// Channels within a block: so many times its input's. The first stage's block does not expand.
const EXPANSION: i64 = 6;
/// The excitation is computed from so many times fewer channels than the block's input has.
const SQUEEZE: i64 = 4;

/// Lays MobileNetV2 and returns the classifier's name.
pub(super) fn build_mobilenet(builder: &mut Builder) -> Result<&'static str, NetworkError> {
    MOBILENET_V2.build(builder)
}

/// Lays EfficientNet-B0 and returns the classifier's name.
pub(super) fn build(builder: &mut Builder) -> Result<&'static str, NetworkError> {
    EFFICIENTNET_B0.build(builder)
}

impl Family {
    fn build(&self, builder: &mut Builder) -> Result<&'static str, NetworkError> {
        builder.scheme = InitScheme::EfficientNet;
        builder.convolve("conv_stem", STEM, Kernel::new(3, 2))?;
        builder.norm("bn1", Norm::Batch)?;
        builder.activation(self.activation);
        for (number, stage) in self.stages.iter().enumerate() {
            builder.stage(|builder| {
                (0..stage.blocks).try_for_each(|block| {
                    let stride = if block == 0 { stage.stride } else { 1 };
                    let name = format!("blocks.{number}.{block}");
                    self.block(builder, &name, number > 0, Kernel::new(stage.kernel, stride), stage.channels)
                })
            })?;
        }
        builder.convolve("conv_head", HEAD, Kernel::new(1, 1))?;
        builder.norm("bn2", Norm::Batch)?;
        builder.activation(self.activation);
        builder.global_average();
        builder.flatten();
        Ok("classifier")
    }

    /// More channels, a convolution of each by itself, and fewer channels without a non-linearity; the input is added
    /// where the shape stays.
    fn block(
        &self,
        builder: &mut Builder,
        name: &str,
        expands: bool,
        kernel: Kernel,
        channels: i64,
    ) -> Result<(), NetworkError> {
        let input = builder.channels();
        let inner = if expands { EXPANSION * input } else { input };
        let within = |layer: &str| format!("{name}.{layer}");
        // The published names count norms, and tell a projection after an expansion from one without.
        let (norms, projection) =
            if expands { (["bn1", "bn2", "bn3"], "conv_pwl") } else { (["", "bn1", "bn2"], "conv_pw") };
        let body = |builder: &mut Builder| {
            if expands {
                builder.convolve(&within("conv_pw"), inner, Kernel::new(1, 1))?;
                builder.norm(&within(norms[0]), Norm::Batch)?;
                builder.activation(self.activation);
            }
            builder.convolve(&within("conv_dw"), inner, Kernel { groups: inner, ..kernel })?;
            builder.norm(&within(norms[1]), Norm::Batch)?;
            builder.activation(self.activation);
            if self.excited {
                builder.gate(|builder| {
                    builder.global_average();
                    builder.convolve(&within("se.conv_reduce"), input / SQUEEZE, Kernel::new(1, 1).with_bias())?;
                    builder.activation(self.activation);
                    builder.convolve(&within("se.conv_expand"), inner, Kernel::new(1, 1).with_bias())?;
                    builder.activation(Activation::Sigmoid);
                    Ok(())
                })?;
            }
            builder.convolve(&within(projection), channels, Kernel::new(1, 1))?;
            builder.norm(&within(norms[2]), Norm::Batch)
        };
        if kernel.stride == 1 && input == channels { builder.residual(body, |_| Ok(())) } else { body(builder) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crate::network::{Mode, Network, NetworkSpec, Overrides};
    use crate::stream::stream;
    use tch::{Device, Tensor};

    fn maps(name: &str) -> (Vec<Vec<i64>>, Vec<i64>) {
        let network = Network::new(&NetworkSpec::named(name, &Overrides::default(), 3, [64, 64], 2).unwrap()).unwrap();
        let parameters = network.init(stream(0, "test", 0).generator(), Device::Cpu).unwrap();
        let images = stream(1, "test", 0).normal_tensor(&[2, 3, 64, 64]);
        let features = network.features(&parameters, &images, Mode::Train).unwrap();
        (features.activations.iter().map(Tensor::size).collect(), features.embedding.size())
    }

    #[test]
    fn attention_sees_the_stem_what_leaves_each_stage_and_the_last_activation() {
        let sizes = |channels: &[(i64, i64)]| -> Vec<Vec<i64>> {
            channels.iter().map(|&(channels, side)| vec![2, channels, side, side]).collect()
        };
        let mobilenet = [(32, 32), (16, 32), (24, 16), (32, 8), (64, 4), (96, 4), (160, 2), (320, 2), (1280, 2)];
        assert_eq!(maps("mobilenetv2_100"), (sizes(&mobilenet), vec![2, 1280]));
        let efficientnet = [(32, 32), (16, 32), (24, 16), (40, 8), (80, 4), (112, 4), (192, 2), (320, 2), (1280, 2)];
        assert_eq!(maps("efficientnet_b0"), (sizes(&efficientnet), vec![2, 1280]));
        let resnet = [(256, 16), (512, 8), (1024, 4), (2048, 2), (2048, 2)];
        assert_eq!(maps("resnetv2_50"), (sizes(&resnet), vec![2, 2048]));
    }
}
