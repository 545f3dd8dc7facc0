//! Kinds that give every image a number.

pub mod difficulty;
