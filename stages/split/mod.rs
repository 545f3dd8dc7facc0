//! Kinds that read files with a published split into training and test images.

pub mod mhist;
