//! Stages that read files which say themselves what is for training and what is for testing.

pub mod mhist;
