//! The parameters by which stages offer DSA, as they stand in a `stage.toml`: part of a kind's `Params`, by
//! `#[serde(flatten)]`.

use ddpipe_nn::augment::Strategy;
use serde::{Deserialize, Serialize};

/// DSA, or no augmentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OptionalDsa {
    /// Images as they are.
    None,
    /// One family of the strategy at a time.
    Dsa,
}

/// Whether images are augmented, and by what.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[expect(missing_docs, reason = "each is the parameter of the same name in stage.toml, which has the help")]
pub struct DsaParams {
    pub augment: OptionalDsa,
    pub strategy: Strategy,
}

impl DsaParams {
    /// The strategy, where there is an augmentation.
    pub fn strategy(&self) -> Option<&Strategy> {
        (self.augment == OptionalDsa::Dsa).then_some(&self.strategy)
    }
}
