//! The convolutional teacher of a published exercise in knowledge distillation on MNIST: two convolutions of 3x3
//! without padding, of 32 and 64 channels, a hidden layer of 128 units. Its student is `mlp784`. The exercise has
//! dropout before both linear layers, which is a parameter of a training (`dropout.rs`).

use super::NetworkError;
use crate::network::builder::Builder;
use crate::network::spec::{Activation, Pooling};

/// Lays the layers and returns the classifier's name.
pub(super) fn build(builder: &mut Builder) -> Result<&'static str, NetworkError> {
    builder.convolution("conv_1", 32, 3, 0)?;
    builder.activation(Activation::Relu);
    builder.sliding_max("pool_1")?;
    builder.convolution("conv_2", 64, 3, 0)?;
    builder.activation(Activation::Relu);
    builder.pool("pool_2", Pooling::Max)?;
    builder.flatten();
    builder.linear("fc_1", 128);
    builder.activation(Activation::Relu);
    Ok("fc_2")
}
