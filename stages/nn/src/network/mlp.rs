//! Multi-layer perceptrons with two hidden layers and ReLU: that of the published evaluations, with 128 units in each,
//! and the student of a published exercise in knowledge distillation, with 784.

use crate::network::builder::Builder;
use crate::network::spec::Activation;

/// Lays the hidden layers, of so many units each, and returns the classifier's name.
pub(super) fn build(builder: &mut Builder, units: i64) -> &'static str {
    builder.flatten();
    for name in ["fc_1", "fc_2"] {
        builder.linear(name, units);
        builder.activation(Activation::Relu);
    }
    "fc_3"
}
