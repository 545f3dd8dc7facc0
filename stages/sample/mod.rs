//! Kinds that generate sample data, for trying pipelines out and for tests.

pub mod arrays;
pub mod digits;
pub mod polyps;
