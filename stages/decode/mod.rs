//! Kinds that read published file formats into data sets, and decode synthetic sets.

pub mod arrays;
pub mod cifar;
pub mod folder;
pub mod idx;
pub mod medmnist;
pub mod synthetic;
