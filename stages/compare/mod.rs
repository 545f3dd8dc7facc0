//! Kinds that hold results against each other.

pub mod table;
