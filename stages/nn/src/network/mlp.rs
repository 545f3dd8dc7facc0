//! Multi-layer perceptrons with two hidden layers and ReLU: that of the published evaluations, with 128 units in each,
//! and the student of a published exercise in knowledge distillation, with 784.

use crate::network::plan::Plan;
use crate::network::spec::Activation;

/// Lays the hidden layers, of so many units each, and returns the classifier's name.
pub(super) fn lay(plan: &mut Plan, units: i64) -> &'static str {
    plan.flatten();
    for name in ["fc_1", "fc_2"] {
        plan.linear(name, units);
        plan.activation(Activation::Relu);
    }
    "fc_3"
}
