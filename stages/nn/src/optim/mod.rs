//! Optimisers as functions: parameters, gradients and the optimiser's state come in, new ones go out. [`Sgd`] with
//! momentum and weight decay, [`Adam`](Optimiser::Adam), [`Lamb`](Optimiser::Lamb); and learning-rate [`Schedule`]s.

mod adam;
mod schedule;
mod sgd;

pub use adam::{Moments, Optimiser};
pub use schedule::{Schedule, cosine};
pub use sgd::Sgd;
