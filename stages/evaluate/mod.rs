//! Kinds that measure how well networks classify that were trained on a synthetic set.

pub mod classifier;
pub mod ranking;
