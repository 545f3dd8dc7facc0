//! What the methods share that optimise synthetic images step by step: images kept by class, one augmentation per class
//! for real and synthetic images alike, the images and their optimiser, and the record of a run.

#![expect(non_snake_case, reason = "tensors carry their shape in their names; class_images.rs has the legend")]

mod class_augmentation;
mod class_images;
mod learnable;
mod real_images;
mod recorder;

pub use class_augmentation::ClassAugmentation;
pub use class_images::{ClassImages, class_groups, each};
pub use learnable::Learnable;
pub use real_images::{ByClass, RealImages};
pub use recorder::{Length, Recorder};
