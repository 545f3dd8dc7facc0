//! `train.teacher`: the same stage as `train.classifier`, with defaults for a network from which others learn. The
//! defaults are in `stage.toml`; the code is shared.

pub use super::classifier::{Params, run};
