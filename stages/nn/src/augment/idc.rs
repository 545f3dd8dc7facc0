//! How IDC augments the images that a network learns from (Kim et al. 2022, `train_epoch`): several operations at once,
//! with draws of every image's own, and CutMix on some of the batches.

use super::{Augment, CutMix, Family, Operation, Settings, Sharing, Strategy};
use crate::augment;
use crate::stream::stream;
use anyhow::Result;
use tch::Tensor;

/// Combined operations, then CutMix.
#[derive(Clone, Debug)]
pub struct Combined {
    /// The operations; none leave the images as they are.
    pub strategy: Option<Strategy>,
    /// The probability of a batch to be mixed.
    pub mixed: f64,
    /// Base seed of the augmentation's random streams.
    pub seed: u64,
}

impl Combined {
    /// As published: cutout is left out where images are mixed, which cut rectangles out of each other already.
    pub fn new(strategy: Option<&Strategy>, mixed: f64, seed: u64) -> Self {
        let strategy = match mixed > 0.0 {
            true => strategy.and_then(|strategy| strategy.without(Family::Cutout)),
            false => strategy.cloned(),
        };
        Combined { strategy, mixed, seed }
    }
}

impl Augment for Combined {
    fn apply(&self, images: &Tensor, step: u64) -> Result<Tensor> {
        let (operations, settings) = self.drawn(&images.size(), step);
        Ok(augment::apply(images, &operations, &settings))
    }

    fn operations(&self, shape: &[i64], step: u64) -> Option<(Vec<Operation>, Settings)> {
        (self.mixed <= 0.0).then(|| self.drawn(shape, step))
    }

    fn batch(&self, images: &Tensor, labels: &Tensor, classes: i64, step: u64) -> Result<(Tensor, Tensor)> {
        let images = self.apply(images, step)?;
        let mut stream = stream(self.seed, "cutmix", step);
        if f64::from(stream.uniform()) >= self.mixed {
            return Ok((images, labels.shallow_clone()));
        }
        let size = images.size();
        Ok(CutMix::draw(size[0], [size[2], size[3]], &mut stream).apply(&images, labels, classes)?)
    }
}

impl Combined {
    fn drawn(&self, shape: &[i64], step: u64) -> (Vec<Operation>, Settings) {
        let (settings, sharing) = (Settings::default(), Sharing::PerImage(shape[0]));
        let Some(strategy) = &self.strategy else { return (Vec::new(), settings) };
        let mut stream = stream(self.seed, "augment", step);
        let size = (shape[2], shape[3]);
        (strategy.draw_combined(sharing, size, &settings, stream.generator()), settings)
    }
}
