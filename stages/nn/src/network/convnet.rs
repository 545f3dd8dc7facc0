//! The ConvNet of dataset distillation: blocks of convolution, norm, activation and pooling, and one linear layer. Its
//! convolutions are 3x3 and its blocks equally wide; a CNN chooses both. The first convolution pads one-channel images
//! by 2 more, which makes 32x32 of MNIST's 28x28.

use super::NetworkError;
use crate::network::builder::{Builder, numbered};
use crate::network::spec::{Activation, Norm, Pooling};

/// What can be chosen.
pub(super) struct Settings {
    pub kernel: i64,
    pub activation: Activation,
    pub norm: Norm,
    pub pooling: Pooling,
}

/// Lays a block for each number of channels and returns the classifier's name. Layers are numbered as in the published
/// `nn.Sequential`.
pub(super) fn build(
    builder: &mut Builder,
    channels: impl ExactSizeIterator<Item = i64>,
    settings: Settings,
) -> Result<&'static str, NetworkError> {
    let Settings { kernel, activation, norm, pooling } = settings;
    for (what, value) in [("a depth", channels.len() as i64), ("a kernel", kernel)] {
        if value < 1 {
            return Err(NetworkError::OutOfRange { what, value });
        }
    }
    if kernel % 2 == 0 {
        return Err(NetworkError::EvenKernel(kernel));
    }
    let mut next = numbered();
    for (block, width) in channels.enumerate() {
        if width < 1 {
            return Err(NetworkError::OutOfRange { what: "a width", value: width });
        }
        let wider = if block == 0 && builder.channels() == 1 { 2 } else { 0 };
        builder.convolution(&next(), width, kernel, kernel / 2 + wider)?;
        if norm != Norm::None {
            builder.norm(&next(), norm)?;
        }
        next();
        builder.activation(activation);
        if pooling != Pooling::None {
            builder.pool(&next(), pooling)?;
        }
    }
    builder.flatten();
    Ok("classifier")
}
