//! What methods share that change synthetic images step by step so that a network sees in them what it sees in real
//! ones: images kept by class, one augmentation per class for both sides, and gradient descent on images that survives
//! being interrupted. Knows no loss.

#![expect(non_snake_case, reason = "tensors carry their shape in their names; batch.rs has the legend")]

mod batch;
mod descent;
mod redraw;

pub use batch::{ClassAugmentation, ClassImages, RealImages, class_groups, graph_chunk};
pub use descent::{Descent, Rates};
pub use redraw::Redraw;
