//! The distillation methods, one folder each. Methods never import each other.

pub mod datadam;
pub mod datm;
pub mod dm;
pub mod mtt;
