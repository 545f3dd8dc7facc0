//! The distillation methods, one folder each. Methods never import each other.

pub mod datadam;
pub mod datm;
pub mod dc;
pub mod dm;
pub mod dsa;
pub mod frepo;
pub mod idc;
pub mod knowledge;
pub mod mtt;
pub mod pad;
pub mod psg;
