//! Kinds that make the synthetic set from which a distillation starts.

pub mod synthetic;
