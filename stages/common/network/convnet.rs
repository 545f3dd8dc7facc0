//! The ConvNet of dataset distillation: blocks of convolution 3x3, norm, activation and pooling, and one linear layer.
//! The first convolution pads one-channel images by 3, which makes 32x32 of MNIST's 28x28.

use super::NetworkError;
use super::plan::{Plan, numbered};
use super::spec::{Activation, Norm, Pooling};

/// What can be chosen.
pub(super) struct Settings {
    pub width: i64,
    pub depth: i64,
    pub activation: Activation,
    pub norm: Norm,
    pub pooling: Pooling,
}

/// Lays the blocks and returns the classifier's name. Layers are numbered as in the published `nn.Sequential`.
pub(super) fn lay(plan: &mut Plan, settings: Settings) -> Result<&'static str, NetworkError> {
    for (what, value) in [("a width", settings.width), ("a depth", settings.depth)] {
        if value < 1 {
            return Err(NetworkError::OutOfRange { what, value });
        }
    }
    let mut next = numbered();
    for block in 0..settings.depth {
        let padding = if block == 0 && plan.channels() == 1 { 3 } else { 1 };
        plan.convolution(&next(), settings.width, 3, padding)?;
        if settings.norm != Norm::None {
            plan.norm(&next(), settings.norm)?;
        }
        next();
        plan.activation(settings.activation);
        if settings.pooling != Pooling::None {
            plan.pool(&next(), settings.pooling)?;
        }
    }
    plan.flatten();
    Ok("classifier")
}
