//! Kinds that train networks on real images.

pub mod classifier;
pub mod experts;
pub mod teacher;
