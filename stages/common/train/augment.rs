//! What the training loop asks of an augmentation, and those that evaluations of synthetic sets use. How images are
//! changed is in `common::augment`.

use crate::common::augment::dc::DcAugmentation;
use crate::common::augment::{self, Mode, Settings, Sharing, Strategy};
use crate::common::network::{Architecture, Norm};
use crate::common::stream::stream;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// Changes a batch of training images.
pub trait Augment {
    /// The images \[B,C,H,W\] of training step `step`, counted over all epochs, changed. Every random draw comes from
    /// a stream of that step, so that a training which continues sees the same images.
    fn apply(&self, images: &Tensor, step: u64) -> Result<Tensor>;
}

/// The augmentations that a training stage offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Augmentation {
    /// Images as they are.
    None,
    /// DSA: one family of the strategy per batch, with a draw of its own for every image.
    Dsa,
    /// The older augmentation of DC: crop, scale or rotate; crop or noise for networks with batch norm.
    Dc,
}

impl Augmentation {
    /// The augmentation for training this architecture, if any; its draws come from `stream(seed, "augment", step)`.
    pub fn for_training(self, strategy: &Strategy, architecture: &Architecture, seed: u64) -> Option<Box<dyn Augment>> {
        match self {
            Augmentation::None => None,
            Augmentation::Dsa => Some(Box::new(Dsa { strategy: strategy.clone(), seed })),
            Augmentation::Dc => {
                use Architecture::{Cnn, ConvNet};
                let batch_norm =
                    matches!(architecture, ConvNet { norm: Norm::Batch, .. } | Cnn { norm: Norm::Batch, .. });
                let operations = if batch_norm { DcAugmentation::batch_norm() } else { DcAugmentation::mnist() };
                Some(Box::new(Dc { operations, seed }))
            }
        }
    }
}

struct Dsa {
    strategy: Strategy,
    seed: u64,
}

impl Augment for Dsa {
    fn apply(&self, images: &Tensor, step: u64) -> Result<Tensor> {
        let size = images.size();
        let settings = Settings::default();
        let mut stream = stream(self.seed, "augment", step);
        let sharing = Sharing::PerImage(size[0]);
        let operations = self.strategy.draw(Mode::Single, sharing, (size[2], size[3]), &settings, stream.generator());
        Ok(augment::apply(images, &operations, &settings))
    }
}

struct Dc {
    operations: DcAugmentation,
    seed: u64,
}

impl Augment for Dc {
    fn apply(&self, images: &Tensor, step: u64) -> Result<Tensor> {
        let size = images.size();
        let pixels: i64 = size[1..].iter().product();
        let mut stream = stream(self.seed, "augment", step);
        let operations = self.operations.draw(size[0] as usize, pixels as usize, stream.generator());
        Ok(self.operations.apply(images, &operations)?)
    }
}
