//! How long real images and their augmentation stay before others are drawn.

use serde::Deserialize;

/// When real images and augmentations are drawn anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Redraw {
    /// Real images and augmentations are drawn in every step.
    Step,
    /// With every network: its real features are computed once for all its steps.
    Network,
}

impl Redraw {
    /// The number of the draw that a step with this network uses; a step of the streams "real" and "augment".
    pub fn of(self, step: u64, network: u64) -> u64 {
        match self {
            Redraw::Step => step,
            Redraw::Network => network,
        }
    }
}
