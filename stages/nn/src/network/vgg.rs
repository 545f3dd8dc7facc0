//! The VGG networks of the published evaluations: five stages of convolutions 3x3 with norm and ReLU, each ended by a
//! max pooling, and one linear layer instead of the original three. The first convolution pads one-channel images by 3.

use super::NetworkError;
use crate::network::builder::{Builder, numbered};
use crate::network::spec::{Activation, Norm, Pooling};

/// Channels of each stage.
const CHANNELS: [i64; 5] = [64, 128, 256, 512, 512];

/// Lays the stages and returns the classifier's name. Layers are numbered as in the published `nn.Sequential`.
pub(super) fn build(builder: &mut Builder, depth: i64, norm: Norm) -> Result<&'static str, NetworkError> {
    let convolutions = match depth {
        11 => [1, 1, 2, 2, 2],
        13 => [2, 2, 2, 2, 2],
        16 => [2, 2, 3, 3, 3],
        19 => [2, 2, 4, 4, 4],
        _ => return Err(NetworkError::UnknownArchitecture(format!("vgg{depth}"))),
    };
    let mut next = numbered();
    for (channels, convolutions) in CHANNELS.into_iter().zip(convolutions) {
        for _ in 0..convolutions {
            let padding = if builder.channels() == 1 { 3 } else { 1 };
            builder.convolution(&next(), channels, 3, padding)?;
            if norm != Norm::None {
                builder.norm(&next(), norm)?;
            }
            next();
            builder.activation(Activation::Relu);
        }
        builder.pool(&next(), Pooling::Max)?;
    }
    builder.flatten();
    Ok("classifier")
}
