//! ResNet-50 with pre-activation (He et al., Identity Mappings in Deep Residual Networks, ECCV 2016) as timm's
//! `resnetv2_50` has it: a convolution 7x7 and a max pooling, each of stride 2, bottlenecks that normalise before they
//! convolve, a last batch norm and global average pooling. The stride is in the first block of a stage, in its 3x3.

use super::NetworkError;
use crate::network::builder::Builder;
use crate::network::init::InitScheme;
use crate::network::layer::Kernel;
use crate::network::spec::{Activation, Norm};

/// Blocks and channels of each stage; every stage but the first halves the maps.
const STAGES: [(i64, i64); 4] = [(3, 256), (4, 512), (6, 1024), (3, 2048)];

/// Channels within a bottleneck: so many times fewer.
const SQUEEZE: i64 = 4;

/// Lays the blocks and returns the classifier's name.
pub(super) fn build(builder: &mut Builder) -> Result<&'static str, NetworkError> {
    builder.scheme = InitScheme::ResNetV2;
    builder.convolve("stem.conv", 64, Kernel::new(7, 2))?;
    builder.overlapping_max("stem.pool")?;
    for (stage, (blocks, channels)) in STAGES.into_iter().enumerate() {
        builder.stage(|builder| {
            (0..blocks).try_for_each(|block| {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                bottleneck(builder, &format!("stages.{stage}.blocks.{block}"), channels, stride)
            })
        })?;
    }
    norm_and_relu(builder, "norm")?;
    builder.global_average();
    builder.flatten();
    Ok("head.fc")
}

fn norm_and_relu(builder: &mut Builder, name: &str) -> Result<(), NetworkError> {
    builder.norm(name, Norm::Batch)?;
    builder.activation(Activation::Relu);
    Ok(())
}

/// Three convolutions around which the input is added; where the shape changes it is added normalised and projected.
fn bottleneck(builder: &mut Builder, name: &str, channels: i64, stride: i64) -> Result<(), NetworkError> {
    let within = |layer: &str| format!("{name}.{layer}");
    let convolutions = |builder: &mut Builder| {
        builder.convolve(&within("conv1"), channels / SQUEEZE, Kernel::new(1, 1))?;
        norm_and_relu(builder, &within("norm2"))?;
        builder.convolve(&within("conv2"), channels / SQUEEZE, Kernel::new(3, stride))?;
        norm_and_relu(builder, &within("norm3"))?;
        builder.convolve(&within("conv3"), channels, Kernel::new(1, 1))
    };
    if builder.channels() == channels {
        let body = |builder: &mut Builder| {
            norm_and_relu(builder, &within("norm1"))?;
            convolutions(builder)
        };
        return builder.residual(body, |_| Ok(()));
    }
    // The state dict has the projection before the norm that is computed first.
    let projection =
        builder.aside(|builder| builder.convolve(&within("downsample.conv"), channels, Kernel::new(1, stride)))?;
    norm_and_relu(builder, &within("norm1"))?;
    builder.residual_around(convolutions, projection)
}
