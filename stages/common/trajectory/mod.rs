//! What methods share that make a student, trained on synthetic images, follow the way that an expert's parameters took
//! through training on real ones: the inner steps and their gradients, what is drawn for them, the experts' files, and
//! the descent on images, labels and step size. Knows no method: which start epochs are allowed, and where labels come
//! from, is theirs.

#![expect(non_snake_case, reason = "tensors carry their shape in their names; matching.rs has the legend")]

mod descent;
mod experts;
mod gradient;
mod inner;
mod matching;

pub use descent::{Descent, Pace, Rates};
pub use experts::{Experts, Stretch};
pub use gradient::GradientForm;
pub use inner::{Inner, InnerAugment, InnerStep, TrajectoryAugment, batches, operations};
pub use matching::{Gradients, Labels, Learnt, Matched, Unrolling, soft_cross_entropy};
