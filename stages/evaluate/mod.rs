//! Kinds that measure what a synthetic set is worth.

pub mod classifier;
