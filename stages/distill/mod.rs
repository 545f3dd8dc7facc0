//! The distillation methods by family, as the literature has them, and what all of them share ([`synthesis`]). Methods
//! never import each other; a family's loop is in its `mod.rs`. Read [`frepo`] first: its whole loop is in one file.

pub mod feature_matching;
pub mod frepo;
pub mod gradient_matching;
pub mod idc;
pub mod knowledge;
pub mod psg;
pub mod synthesis;
pub mod trajectory_matching;
