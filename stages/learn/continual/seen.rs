//! The images of the classes seen so far: a part of a set, selected by class. In soft labels the probabilities of
//! classes not seen yet are removed, and the rest is scaled to sum to 1.

use crate::training::{Batch, Examples, TrainingSet};
use anyhow::{Context as _, Result, ensure};
use tch::{Device, Kind, TchError, Tensor};

/// A set whose images can be selected by class.
pub(super) struct ByClass<'a> {
    set: &'a TrainingSet,
    positions: Vec<Vec<i64>>,
}

impl<'a> ByClass<'a> {
    /// The positions of the images of every class. With hard labels the class is the label, with soft labels it follows
    /// from the position, because synthetic sets are sorted by class. An error, which names the set by `what`, if a
    /// class has no image.
    pub fn of(set: &'a TrainingSet, what: &str) -> Result<Self> {
        let positions = positions(set).with_context(|| format!("input {what:?}"))?;
        for (class, members) in positions.iter().enumerate() {
            ensure!(!members.is_empty(), "input {what:?} has no image of class {class}; every class needs one");
        }
        Ok(ByClass { set, positions })
    }

    /// The number of images of these classes.
    pub fn count(&self, classes: &[i64]) -> i64 {
        classes.iter().map(|&class| self.positions[class as usize].len() as i64).sum()
    }

    /// The images of these classes, in the order of `classes`.
    pub fn seen(&self, classes: &[i64]) -> Result<Seen<'a>> {
        let set = self.set.examples();
        let positions: Vec<i64> = classes.iter().flat_map(|&class| &self.positions[class as usize]).copied().collect();
        let mut share = vec![0f32; self.set.classes() as usize];
        classes.iter().for_each(|&class| share[class as usize] = 1.0);
        let to_device = |tensor: Tensor| tensor.f_to_device(set.device());
        Ok(Seen {
            set,
            positions: to_device(Tensor::from_slice(&positions))?,
            share: to_device(Tensor::from_slice(&share))?,
        })
    }
}

/// The images of some classes of a set.
pub(super) struct Seen<'a> {
    set: &'a dyn Examples,
    positions: Tensor,
    /// \[K\], 1 for the classes that were seen, 0 for the others.
    share: Tensor,
}

impl Examples for Seen<'_> {
    fn count(&self) -> i64 {
        self.positions.size()[0]
    }

    fn at(&self, positions: &Tensor) -> Result<Batch, TchError> {
        let batch = self.set.at(&self.positions.f_index_select(0, positions)?)?;
        if batch.labels.dim() != 2 {
            return Ok(batch);
        }
        let kept = batch.labels.f_mul(&self.share)?;
        let whole = kept.f_sum_dim_intlist([1i64].as_slice(), true, Kind::Float)?;
        Ok(Batch { labels: kept.f_div(&whole)?, ..batch })
    }

    fn device(&self) -> Device {
        self.set.device()
    }
}

/// The positions of every class's images.
fn positions(set: &TrainingSet) -> Result<Vec<Vec<i64>>> {
    match set {
        TrainingSet::Real(set) => set.positions_by_class(),
        TrainingSet::Synthetic(set) if set.soft_labels() => {
            set.refuse_targets()?;
            sorted(&classes_by_place(&set.labels, set.classes, set.ipc)?, set.classes)
        }
        TrainingSet::Synthetic(set) => {
            sorted(&Vec::<i64>::try_from(set.labels.f_to_device(Device::Cpu)?)?, set.classes)
        }
    }
}

/// The class of every image by its position, for soft labels \[M,K\]. An error if the set does not have `ipc` images of
/// each class, or if a label gives its own class no probability.
fn classes_by_place(labels: &Tensor, classes: i64, ipc: i64) -> Result<Vec<i64>> {
    let (count, columns) = labels.size2()?;
    ensure!(
        count == classes * ipc && columns == classes && ipc > 0,
        "{count} soft labels over {columns} classes are not {ipc} for each of {classes} classes"
    );
    let places: Vec<i64> = (0..count).map(|image| image / ipc).collect();
    let own = labels.f_gather(1, &Tensor::from_slice(&places).f_to_device(labels.device())?.f_unsqueeze(1)?, false)?;
    let own = Vec::<f32>::try_from(own.f_flatten(0, 1)?.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?)?;
    for (image, (share, class)) in own.iter().zip(&places).enumerate() {
        ensure!(
            *share > 0.0,
            "the soft label of image {image} gives its own class, {class}, a share of {share}; it has to be above 0, \
             because the shares of classes that are not seen yet are taken away"
        );
    }
    Ok(places)
}

/// The positions of the images of every class, from the class of every image. An error if a class is not in 0 to
/// `classes` - 1.
fn sorted(classes_of_images: &[i64], classes: i64) -> Result<Vec<Vec<i64>>> {
    let mut positions = vec![Vec::new(); classes.max(0) as usize];
    for (image, &class) in classes_of_images.iter().enumerate() {
        let members = usize::try_from(class).ok().and_then(|class| positions.get_mut(class));
        members
            .with_context(|| format!("label {class} of image {image} is not in 0 to {}", classes - 1))?
            .push(image as i64);
    }
    Ok(positions)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::artifact::{Normalisation, SyntheticSet};

    /// Two images for each of three classes; the pixel is the image's position.
    fn set(labels: Tensor) -> TrainingSet {
        let images = Tensor::arange(6, (Kind::Float, Device::Cpu)).reshape([6, 1, 1, 1]);
        let normalisation = Normalisation::new(vec![0.0], vec![1.0]);
        TrainingSet::Synthetic(SyntheticSet {
            images,
            labels,
            classes: 3,
            ipc: 2,
            normalisation,
            origin: String::new(),
            class_names: Vec::new(),
            lr: None,
            targets: false,
            decoder: None,
        })
    }

    fn soft(own: f32) -> Tensor {
        let rest = (1.0 - own) / 4.0;
        let rows = [[own, rest, rest * 3.0], [own, rest, rest * 3.0], [rest, own, rest * 3.0], [rest, own, rest * 3.0]];
        let last = [[rest * 2.0, rest * 2.0, own], [rest * 2.0, rest * 2.0, own]];
        Tensor::from_slice2(&[rows.as_slice(), last.as_slice()].concat())
    }

    fn taken(set: &TrainingSet, classes: &[i64]) -> (Vec<f32>, Tensor) {
        let by_class = ByClass::of(set, "memory").unwrap();
        let seen = by_class.seen(classes).unwrap();
        assert_eq!(seen.count(), by_class.count(classes));
        let Batch { images, labels, .. } = seen.at(&Tensor::arange(seen.count(), (Kind::Int64, Device::Cpu))).unwrap();
        (Vec::try_from(images.flatten(0, -1)).unwrap(), labels)
    }

    #[test]
    fn only_images_of_the_seen_classes_are_there_in_the_order_of_the_classes() {
        let hard = set(Tensor::from_slice(&[0i64, 0, 1, 1, 2, 2]));
        let (images, labels) = taken(&hard, &[2, 0]);
        assert_eq!(images, [4.0, 5.0, 0.0, 1.0]);
        assert_eq!(Vec::<i64>::try_from(labels).unwrap(), [2, 2, 0, 0]);
    }

    #[test]
    fn a_soft_label_is_shared_out_among_the_seen_classes() {
        let set = set(soft(0.6));
        let (images, labels) = taken(&set, &[1, 0]);
        assert_eq!(images, [2.0, 3.0, 0.0, 1.0]);
        // The probabilities 0.6 and 0.1 remain of 0.6, 0.1 and 0.3, and are divided by their sum.
        let expected =
            Tensor::from_slice2(&[[1.0, 6.0, 0.0], [1.0, 6.0, 0.0], [6.0, 1.0, 0.0], [6.0, 1.0, 0.0f32]]) / 7.0;
        assert!(labels.allclose(&expected, 1e-6, 0.0, false), "{labels:?}");
        let (_, labels) = taken(&set, &[0, 1, 2]);
        assert!(labels.allclose(&soft(0.6), 1e-6, 0.0, false), "all classes are seen: as it was");
    }

    #[test]
    fn what_has_no_class_is_refused() {
        let refused = |labels: Tensor| match ByClass::of(&set(labels), "memory") {
            Err(error) => format!("{error:#}"),
            Ok(_) => panic!("was taken"),
        };
        let text = refused(Tensor::from_slice(&[0i64, 0, 1, 1, 2, 3]));
        assert_eq!(text, "input \"memory\": label 3 of image 5 is not in 0 to 2");
        let text = refused(Tensor::from_slice(&[0i64, 0, 2, 2, 2, 2]));
        assert_eq!(text, "input \"memory\" has no image of class 1; every class needs one");
        let text = refused(soft(0.0));
        assert!(text.contains("image 0 gives its own class, 0, a share of 0"), "{text}");
        let text = refused(Tensor::ones([6, 2], (Kind::Float, Device::Cpu)));
        assert!(text.contains("6 soft labels over 2 classes are not 2 for each of 3 classes"), "{text}");
    }
}
