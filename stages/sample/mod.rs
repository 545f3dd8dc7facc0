//! Stages that make data up, for trying things out.

pub mod arrays;
pub mod digits;
pub mod polyps;
