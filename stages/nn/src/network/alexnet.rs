//! The AlexNet of the published evaluations: five convolutions with ReLU, three max poolings and one linear layer.
//! The first convolution pads one-channel images by 4, which makes 32x32 of MNIST's 28x28.

use super::NetworkError;
use crate::network::builder::{Builder, numbered};
use crate::network::spec::{Activation, Norm, Pooling};

/// Channels, kernel, padding, and whether a pooling follows.
const CONVOLUTIONS: [(i64, i64, i64, bool); 5] =
    [(128, 5, 2, true), (192, 5, 2, true), (256, 3, 1, false), (192, 3, 1, false), (192, 3, 1, true)];

/// Lays the layers and returns the classifier's name. Layers are numbered as in the published `nn.Sequential`.
pub(super) fn build(builder: &mut Builder, norm: Norm) -> Result<&'static str, NetworkError> {
    let mut next = numbered();
    for (channels, kernel, padding, pooled) in CONVOLUTIONS {
        let padding = if builder.channels() == 1 { 4 } else { padding };
        builder.convolution(&next(), channels, kernel, padding)?;
        if norm != Norm::None {
            builder.norm(&next(), norm)?;
        }
        next();
        builder.activation(Activation::Relu);
        if pooled {
            builder.pool(&next(), Pooling::Max)?;
        }
    }
    builder.flatten();
    Ok("fc")
}
