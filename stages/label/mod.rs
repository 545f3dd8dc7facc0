//! Kinds that change what a synthetic set's images are labelled with.

pub mod synthetic;
