//! `train.teacher`: what `train.classifier` does, with the defaults of a network that others learn from. They stand in
//! `stage.toml`; there is nothing else to it.

pub use super::classifier::{Params, run};
