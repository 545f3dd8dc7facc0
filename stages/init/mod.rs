//! Stages that make the synthetic set that distillation starts from.

pub mod synthetic;
