//! Kinds that measure what a synthetic set is worth.

pub mod classifier;
pub mod ranking;
