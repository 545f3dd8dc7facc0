//! LeNet-5 as in the published evaluations: ReLU and max pooling; one-channel images are padded by 2, to 32x32.

use super::NetworkError;
use crate::network::builder::Builder;
use crate::network::spec::{Activation, Pooling};

/// Lays the layers and returns the classifier's name.
pub(super) fn build(builder: &mut Builder) -> Result<&'static str, NetworkError> {
    let first_padding = if builder.channels() == 1 { 2 } else { 0 };
    for (name, pool, channels, padding) in
        [("features.0", "features.2", 6, first_padding), ("features.3", "features.5", 16, 0)]
    {
        builder.convolution(name, channels, 5, padding)?;
        builder.activation(Activation::Relu);
        builder.pool(pool, Pooling::Max)?;
    }
    builder.flatten();
    for (name, units) in [("fc_1", 120), ("fc_2", 84)] {
        builder.linear(name, units);
        builder.activation(Activation::Relu);
    }
    Ok("fc_3")
}
