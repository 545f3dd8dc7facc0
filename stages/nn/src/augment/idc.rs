//! How IDC augments the images that a network learns from (Kim et al. 2022, `train_epoch`): several operations at once,
//! with draws of every image's own, and CutMix on some of the batches.

use super::{Augment, CutMix, Family, Operation, Planned, Settings, Sharing, Strategy};
use crate::stream::stream;
use crate::transfer::Parcel;
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
        let mut parcel = Parcel::default();
        let planned = self.planned(images, step, &mut parcel);
        Ok(planned.apply(images, &parcel.send(images.device())))
    }

    fn operations(&self, shape: &[i64], step: u64) -> Option<(Vec<Operation>, Settings)> {
        (self.mixed <= 0.0).then(|| self.drawn(shape, step))
    }

    fn batch(&self, images: &Tensor, labels: &Tensor, classes: i64, step: u64) -> Result<(Tensor, Tensor)> {
        let size = images.size();
        let mut stream = stream(self.seed, "cutmix", step);
        let mixed = f64::from(stream.uniform()) < self.mixed;
        let cutmix = mixed.then(|| CutMix::draw(size[0], [size[2], size[3]], &mut stream));
        let mut parcel = Parcel::default();
        let planned = self.planned(images, step, &mut parcel);
        let partners = cutmix.as_ref().map(|cutmix| parcel.add(&cutmix.partners));
        let sent = parcel.send(images.device());
        let images = planned.apply(images, &sent);
        match cutmix.zip(partners) {
            Some((cutmix, partners)) => Ok(cutmix.apply_with(&sent.get(partners), &images, labels, classes)?),
            None => Ok((images, labels.shallow_clone())),
        }
    }
}

impl Combined {
    fn planned(&self, images: &Tensor, step: u64, parcel: &mut Parcel) -> Planned {
        let (operations, settings) = self.drawn(&images.size(), step);
        Planned::new(&operations, &images.size(), images.kind(), &settings, parcel)
    }

    fn drawn(&self, shape: &[i64], step: u64) -> (Vec<Operation>, Settings) {
        let (settings, sharing) = (Settings::default(), Sharing::PerImage(shape[0]));
        let Some(strategy) = &self.strategy else { return (Vec::new(), settings) };
        let mut stream = stream(self.seed, "augment", step);
        let size = (shape[2], shape[3]);
        (strategy.draw_combined(sharing, size, &settings, stream.generator()), settings)
    }
}
