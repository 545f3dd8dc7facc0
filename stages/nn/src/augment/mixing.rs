//! What mixes the images of a batch and softens their labels, after any other augmentation: mixup (Zhang et al. 2018),
//! CutMix (Yun et al. 2019) and label smoothing. The labels become probabilities \[B,K\].

#![expect(
    non_snake_case,
    reason = "tensors carry their shape in their names: B batch, C channels, H rows, W columns, K classes"
)]

use super::{Augment, CutMix, Patch};
use crate::stream::{Stream, stream};
use crate::transfer;
use anyhow::{Result, anyhow};
use rand_distr::{Beta, Distribution};
use serde::{Deserialize, Serialize};
use tch::{Kind, TchError, Tensor};

/// What happens to images and labels. Nothing, where all numbers but `mix_share` are 0.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
pub struct Mixing {
    /// Both parameters of the beta distribution that mixup's share is drawn from; 0 for no mixup.
    pub mixup: f64,
    /// The same of CutMix.
    pub cutmix: f64,
    /// The share of batches that are mixed. With mixup and CutMix either is drawn for half of those.
    pub mix_share: f64,
    /// The share of every label that is spread evenly over all classes.
    pub label_smoothing: f64,
}

impl Mixing {
    /// Whether it leaves images and labels as they are.
    pub fn is_off(&self) -> bool {
        self.mixup == 0.0 && self.cutmix == 0.0 && self.label_smoothing == 0.0
    }

    /// The augmentation behind another one, if there is one. Its draws come from `stream(seed, "mix", step)`.
    pub fn behind(self, first: Option<Box<dyn Augment>>, seed: u64) -> Option<Box<dyn Augment>> {
        if self.is_off() { first } else { Some(Box::new(Mixed { settings: self, seed, first })) }
    }

    /// A batch mixed, and its labels as probabilities of `classes`.
    fn mixed(
        &self,
        images_BCHW: &Tensor,
        labels: &Tensor,
        classes: i64,
        stream: &mut Stream,
    ) -> Result<(Tensor, Tensor)> {
        let (count, size) = (images_BCHW.size()[0], [images_BCHW.size()[2], images_BCHW.size()[3]]);
        let labels_BK = match labels.dim() {
            2 => labels.shallow_clone(),
            _ => labels.f_one_hot(classes)?.f_to_kind(Kind::Float)?,
        };
        let mixes = self.mixup > 0.0 || self.cutmix > 0.0;
        if !mixes || f64::from(stream.uniform()) >= self.mix_share {
            return Ok((images_BCHW.shallow_clone(), labels_BK));
        }
        let cuts = self.cutmix > 0.0 && (self.mixup == 0.0 || stream.uniform() < 0.5);
        let share = share(if cuts { self.cutmix } else { self.mixup }, stream)?;
        let partners = stream.permutation(count);
        if cuts {
            let centre = [stream.integer(0, size[0]), stream.integer(0, size[1])];
            let cutmix = CutMix { partners, patch: Patch::new(size, share, centre) };
            return Ok(cutmix.apply(images_BCHW, &labels_BK, classes)?);
        }
        let partners = transfer::upload(&partners, images_BCHW.device());
        let mixed = |own: &Tensor| -> Result<Tensor, TchError> {
            let others = own.f_index_select(0, &partners)?;
            own.f_mul_scalar(share)?.f_add(&others.f_mul_scalar(1.0 - share)?)
        };
        Ok((mixed(images_BCHW)?, mixed(&labels_BK)?))
    }
}

/// The share of an image that stays.
fn share(alpha: f64, stream: &mut Stream) -> Result<f64> {
    let beta = Beta::new(alpha, alpha).map_err(|error| anyhow!("a beta distribution of {alpha}: {error}"))?;
    Ok(beta.sample(stream.generator()))
}

struct Mixed {
    settings: Mixing,
    seed: u64,
    first: Option<Box<dyn Augment>>,
}

impl Augment for Mixed {
    fn apply(&self, images: &Tensor, step: u64) -> Result<Tensor> {
        match &self.first {
            Some(first) => first.apply(images, step),
            None => Ok(images.shallow_clone()),
        }
    }

    fn batch(&self, images: &Tensor, labels: &Tensor, classes: i64, step: u64) -> Result<(Tensor, Tensor)> {
        let (images, labels) = match &self.first {
            Some(first) => first.batch(images, labels, classes, step)?,
            None => (images.shallow_clone(), labels.shallow_clone()),
        };
        let mut stream = stream(self.seed, "mix", step);
        let (images, labels_BK) = self.settings.mixed(&images, &labels, classes, &mut stream)?;
        let smooth = self.settings.label_smoothing;
        if smooth == 0.0 {
            return Ok((images, labels_BK));
        }
        let labels_BK = labels_BK.f_mul_scalar(1.0 - smooth)?.f_add_scalar(smooth / classes.max(1) as f64)?;
        Ok((images, labels_BK))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use tch::{Device, Reduction};

    const OFF: Mixing = Mixing { mixup: 0.0, cutmix: 0.0, mix_share: 1.0, label_smoothing: 0.0 };

    /// Images of one value each, so that the shares of a mixture can be read from them.
    fn batch() -> (Tensor, Tensor) {
        let images = Tensor::arange(4, (Kind::Float, Device::Cpu)).view([4, 1, 1, 1]).repeat([1, 1, 6, 8]);
        (images, Tensor::from_slice(&[0i64, 1, 2, 3]))
    }

    #[test]
    fn smoothing_is_that_of_the_cross_entropy() {
        let logits = stream(0, "logits", 0).normal_tensor(&[4, 5]);
        let (images, labels) = batch();
        let smooth = Mixing { label_smoothing: 0.1, ..OFF }.behind(None, 0).unwrap();
        let (same, soft) = smooth.batch(&images, &labels, 5, 0).unwrap();
        assert_eq!(same, images);
        let entropy = |labels: &Tensor, smoothing| {
            logits.cross_entropy_loss(labels, None::<&Tensor>, Reduction::Mean, -100, smoothing)
        };
        assert!(entropy(&soft, 0.0).allclose(&entropy(&labels, 0.1), 1e-6, 1e-6, false));
    }

    #[test]
    fn labels_are_mixed_as_the_images_are() {
        let (images, labels) = batch();
        let values = Tensor::arange(4, (Kind::Float, Device::Cpu));
        for (mixing, steps) in [(Mixing { mixup: 0.8, ..OFF }, 5), (Mixing { cutmix: 1.0, ..OFF }, 5)] {
            let augment = mixing.behind(None, 3).unwrap();
            let mut changed = 0;
            for step in 0..steps {
                let (mixed, soft) = augment.batch(&images, &labels, 4, step).unwrap();
                let means = mixed.mean_dim([1i64, 2, 3].as_slice(), false, Kind::Float);
                assert!(means.allclose(&soft.matmul(&values), 1e-5, 1e-5, false), "{mixing:?}");
                changed += i32::from(mixed != images);
                assert_eq!(augment.batch(&images, &labels, 4, step).unwrap(), (mixed, soft));
            }
            assert!(changed > 0, "{mixing:?}");
        }
        let never = Mixing { mixup: 1.0, cutmix: 1.0, mix_share: 0.0, ..OFF }.behind(None, 3).unwrap();
        assert_eq!(never.batch(&images, &labels, 4, 0).unwrap().0, images);
        assert!(OFF.behind(None, 0).is_none());
    }
}
