//! Kinds that select real images as a synthetic set.

pub mod coreset;
