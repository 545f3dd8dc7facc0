//! Parameter `hint`: what a student takes from its teacher besides its soft targets.

use serde::{Deserialize, Serialize};

/// What a student takes from its teacher besides its soft targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Hint {
    /// Nothing.
    None,
    /// The outputs of a layer, before it is trained on the soft targets.
    Fitnet,
    /// The attention of its layers.
    Attention,
    /// The distances and angles between images.
    Rkd,
    /// Which images are similar.
    Similarity,
    /// The probabilities of being neighbours.
    Pkt,
    /// The correlation of neighbouring images' embeddings.
    Correlation,
}

impl Hint {
    /// The weight of its loss in published code: szagoruyko/attention-transfer, `--beta 1e+3`; the others
    /// HobbitLong/RepDistiller, scripts/run_cifar_distill.sh, `-b`. The declaration of `beta` says the same.
    pub fn published_weight(self) -> f64 {
        match self {
            Hint::None | Hint::Fitnet => 0.0,
            Hint::Attention => 1000.0,
            Hint::Rkd => 1.0,
            Hint::Similarity => 3000.0,
            Hint::Pkt => 30000.0,
            Hint::Correlation => 0.02,
        }
    }

    /// Whether one layer is compared with one.
    pub fn compares_one(self) -> bool {
        matches!(self, Hint::Fitnet | Hint::Correlation)
    }
}
