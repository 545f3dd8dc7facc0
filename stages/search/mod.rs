//! Searches: over numbers of images per class.

pub mod ipc;
