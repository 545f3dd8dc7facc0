//! The ResNets of the published evaluations, in the form for small images: a first convolution 3x3 of stride 1 and no
//! max pooling before the blocks. Convolutions have no bias, and one-channel images are padded no wider than others.

use super::NetworkError;
use crate::network::builder::Builder;
use crate::network::layer::Kernel;
use crate::network::spec::{Activation, Downsampling, Norm, Pooling};

/// Channels of each stage; every stage but the first halves the maps.
const CHANNELS: [i64; 4] = [64, 128, 256, 512];

/// Lays the blocks and returns the classifier's name.
pub(super) fn build(
    builder: &mut Builder,
    depth: i64,
    norm: Norm,
    downsampling: Downsampling,
) -> Result<&'static str, NetworkError> {
    let blocks = match depth {
        18 => [2, 2, 2, 2],
        34 => [3, 4, 6, 3],
        _ => return Err(NetworkError::UnknownArchitecture(format!("resnet{depth}"))),
    };
    builder.convolve("conv1", CHANNELS[0], Kernel::new(3, 1))?;
    builder.norm("bn1", norm)?;
    builder.activation(Activation::Relu);
    for (stage, (channels, blocks)) in CHANNELS.into_iter().zip(blocks).enumerate() {
        for block in 0..blocks {
            let halved = (stage > 0 && block == 0).then_some(downsampling);
            basic_block(builder, &format!("layer{}.{block}", stage + 1), channels, norm, halved)?;
        }
    }
    if downsampling == Downsampling::Stride {
        builder.pool_by("avg_pool", Pooling::Average, 4)?;
    }
    builder.flatten();
    Ok("classifier")
}

/// Two convolutions around which the input is added, through a convolution 1x1 where the shape changes.
fn basic_block(
    builder: &mut Builder,
    name: &str,
    channels: i64,
    norm: Norm,
    halved: Option<Downsampling>,
) -> Result<(), NetworkError> {
    let stride = if halved == Some(Downsampling::Stride) { 2 } else { 1 };
    let pooling = if halved == Some(Downsampling::Average) { Pooling::Average } else { Pooling::None };
    let projected = halved.is_some() || builder.channels() != channels;
    let within = |layer: &str| format!("{name}.{layer}");
    let body = |builder: &mut Builder| {
        builder.convolve(&within("conv1"), channels, Kernel::new(3, stride))?;
        builder.norm(&within("bn1"), norm)?;
        builder.activation(Activation::Relu);
        builder.pool(&within("pool"), pooling)?;
        builder.convolve(&within("conv2"), channels, Kernel::new(3, 1))?;
        builder.norm(&within("bn2"), norm)
    };
    let shortcut = |builder: &mut Builder| {
        if !projected {
            return Ok(());
        }
        builder.convolve(&within("shortcut.0"), channels, Kernel::new(1, stride))?;
        builder.pool(&within("shortcut.1"), pooling)?;
        // The published layers are numbered: the pooling, where there is one, takes the 1.
        builder.norm(&within(if pooling == Pooling::None { "shortcut.1" } else { "shortcut.2" }), norm)
    };
    builder.residual(body, shortcut)?;
    builder.activation(Activation::Relu);
    Ok(())
}
