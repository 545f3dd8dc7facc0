//! Stages that read foreign files into data sets.

pub mod folder;
pub mod idx;
