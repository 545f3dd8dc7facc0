//! What methods share that change synthetic images step by step so that a network sees in them what it sees in real
//! ones: images kept by class, one augmentation per class for both sides, gradient descent on images that survives
//! being interrupted; and, for those that compare gradients, second-order gradients, their distances and their loop.

#![expect(non_snake_case, reason = "tensors carry their shape in their names; batch.rs has the legend")]

mod batch;
mod condensation;
mod descent;
mod distance;
mod feature_matching;
mod gradient;
mod loops;
mod pupil;
mod redraw;

pub use batch::{ClassAugmentation, ClassImages, RealImages, class_groups, graph_chunk};
pub use condensation::Condensation;
pub use descent::{Descent, Rates};
pub use distance::{Distance, layer_distances};
pub use feature_matching::{FeatureMatching, Features, gradient_by_classes, together};
pub use gradient::{MatchedGradient, constant_gradient, match_gradient, match_gradient_in_chunks, with_statistics_of};
pub use loops::{Loops, Opening};
pub use pupil::{Lesson, Pupil};
pub use redraw::Redraw;
