//! Kinds that compare the metrics of results with each other.

pub mod table;
