//! Kinds that search: over architectures (candidates trained on one set, and how well their ranking predicts that on
//! the whole set) and over numbers of images per class.

pub mod candidates;
pub mod ipc;
pub mod nas_proxy;
