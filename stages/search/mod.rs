//! Searches: over architectures (candidates trained on one set, and what their ranking is worth) and over numbers of
//! images per class.

pub mod candidates;
pub mod ipc;
pub mod nas_proxy;
