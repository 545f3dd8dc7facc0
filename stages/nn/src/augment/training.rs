//! What the training loop asks of an augmentation, and those that evaluations of synthetic sets use. How images are
//! changed is in the other files of this folder.

use super::{Combined, Mode, Operation, Settings, Sharing, Strategy};
use crate::augment;
use crate::augment::dc::DcAugmentation;
use crate::network::{Architecture, Norm};
use crate::stream::stream;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// Changes a batch of training images.
pub trait Augment {
    /// The images \[B,C,H,W\] of training step `step`, counted over all epochs, changed. Every random draw comes from
    /// a stream of that step, so that a training which continues sees the same images.
    fn apply(&self, images: &Tensor, step: u64) -> Result<Tensor>;

    /// The images changed, and labels (\[B\] int64 or \[B,K\] probabilities of `classes`) that fit them: an augmentation
    /// that mixes images mixes their labels too.
    fn batch(&self, images: &Tensor, labels: &Tensor, _classes: i64, step: u64) -> Result<(Tensor, Tensor)> {
        Ok((self.apply(images, step)?, labels.shallow_clone()))
    }

    /// The operations that [`batch`](Self::batch) applies to images of this shape, \[B,C,H,W\], in this step, and their
    /// strength; `None` where it does anything else to images or labels.
    fn operations(&self, _shape: &[i64], _step: u64) -> Option<(Vec<Operation>, Settings)> {
        None
    }
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
    /// IDC: flip, colour, one of the strategy's other families, and cutout, with a draw of its own for every image.
    Idc,
    /// The same without cutout, and CutMix on half of the batches.
    #[serde(rename = "idc_cutmix")]
    IdcCutMix,
}

/// The share of batches that IDC's evaluations of small images mix.
const MIXED: f64 = 0.5;

impl Augmentation {
    /// Whether it draws from a strategy.
    pub fn has_strategy(self) -> bool {
        matches!(self, Augmentation::Dsa | Augmentation::Idc | Augmentation::IdcCutMix)
    }

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
            Augmentation::Idc => Some(Box::new(Combined::new(Some(strategy), 0.0, seed))),
            Augmentation::IdcCutMix => Some(Box::new(Combined::new(Some(strategy), MIXED, seed))),
        }
    }
}

struct Dsa {
    strategy: Strategy,
    seed: u64,
}

impl Augment for Dsa {
    fn apply(&self, images: &Tensor, step: u64) -> Result<Tensor> {
        let (operations, settings) = self.drawn(&images.size(), step);
        Ok(augment::apply(images, &operations, &settings))
    }

    fn operations(&self, shape: &[i64], step: u64) -> Option<(Vec<Operation>, Settings)> {
        Some(self.drawn(shape, step))
    }
}

impl Dsa {
    fn drawn(&self, shape: &[i64], step: u64) -> (Vec<Operation>, Settings) {
        let (settings, sharing) = (Settings::default(), Sharing::PerImage(shape[0]));
        let mut stream = stream(self.seed, "augment", step);
        let size = (shape[2], shape[3]);
        (self.strategy.draw(Mode::Single, sharing, size, &settings, stream.generator()), settings)
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
