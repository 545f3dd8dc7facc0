//! Kinds that choose among real images.

pub mod coreset;
