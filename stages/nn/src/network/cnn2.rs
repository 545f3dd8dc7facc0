//! The convolutional teacher of a published exercise in knowledge distillation on MNIST: two convolutions of 3x3
//! without padding, of 32 and 64 channels, a hidden layer of 128 units. Its student is `mlp784`. Dropout, which the
//! exercise has before both linear layers, is left out: no network here has any.

use super::NetworkError;
use crate::network::plan::Plan;
use crate::network::spec::{Activation, Pooling};

/// Lays the layers and returns the classifier's name.
pub(super) fn lay(plan: &mut Plan) -> Result<&'static str, NetworkError> {
    plan.convolution("conv_1", 32, 3, 0)?;
    plan.activation(Activation::Relu);
    plan.sliding_max("pool_1")?;
    plan.convolution("conv_2", 64, 3, 0)?;
    plan.activation(Activation::Relu);
    plan.pool("pool_2", Pooling::Max)?;
    plan.flatten();
    plan.linear("fc_1", 128);
    plan.activation(Activation::Relu);
    Ok("fc_2")
}
