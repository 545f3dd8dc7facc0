//! The multi-layer perceptron of the published evaluations: two hidden layers of 128 units with ReLU.

use super::plan::Plan;
use super::spec::Activation;

const HIDDEN: i64 = 128;

/// Lays the hidden layers and returns the classifier's name.
pub(super) fn lay(plan: &mut Plan) -> &'static str {
    plan.flatten();
    for name in ["fc_1", "fc_2"] {
        plan.linear(name, HIDDEN);
        plan.activation(Activation::Relu);
    }
    "fc_3"
}
