//! Optimisers as functions: parameters, gradients and the optimiser's state come in, new ones go out. [`Sgd`] with
//! momentum and weight decay, [`Adam`](Optimiser::Adam), [`Lamb`](Optimiser::Lamb), and the [`Descent`] of a network's
//! training, which chooses among them; learning-rate [`Schedule`]s and their [`Course`]; [`Average`]s of parameters.

mod adam;
mod average;
mod course;
mod descent;
mod joined;
mod schedule;
mod sgd;

pub use adam::{Betas, Moments, Optimiser};
pub use average::{Average, AverageStart, Averaged};
pub use course::{Course, Length, Pace, WarmUp};
pub use descent::{Decayed, Descent, Memory, Rule};
pub use schedule::{Schedule, cosine};
pub use sgd::Sgd;
