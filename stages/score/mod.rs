//! Kinds that compute a score for every image of a data set.

pub mod difficulty;
