//! Stages that read foreign files into data sets.

pub mod cifar;
pub mod folder;
pub mod idx;
pub mod medmnist;
pub mod synthetic;
