//! What methods share that make a student, trained on synthetic images, follow the way that an expert's parameters took
//! through training on real ones: the inner steps and their gradients, what is drawn for them, the experts' files,
//! the descent on images, labels and step size, and the loop; and, for methods that align difficulty, which start epochs
//! are allowed, where labels come from, and which parameters count. Knows no method.

#![expect(non_snake_case, reason = "tensors carry their shape in their names; matching.rs has the legend")]

mod aligned;
pub mod choice;
mod descent;
mod experts;
mod first;
mod gradient;
mod inner;
mod labels;
mod matching;
mod range;
mod selection;
mod trajectory_matching;

pub use aligned::Aligned;
pub use descent::{Descent, Pace, Rates};
pub use experts::{Experts, Stretch};
pub use first::{First, FirstImages};
pub use gradient::GradientForm;
pub use inner::{Inner, InnerStep, TrajectoryAugment, batches, operations};
pub use labels::LabelSums;
pub use matching::{Gradients, Labels, Learnt, Matched, Unrolling, soft_cross_entropy};
pub use range::StartRange;
pub use selection::{Selection, Selector};
pub use trajectory_matching::{Task, TrajectoryMatching};
