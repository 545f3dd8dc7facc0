//! Images kept by class, and one augmentation per class that acts on real and synthetic images alike.
//!
//! Legend: N images, C channels, H height, W width, K classes, D anything.

use crate::artifact::{Dataset, SyntheticSet};
use crate::common::augment::{Mode, Operation, Settings, Sharing, Strategy, apply};
use crate::common::network::Chunk;
use crate::common::stream::stream;
use anyhow::{Result, ensure};
use std::ops::Range;
use tch::{Device, Tensor};

/// Images \[N,C,H,W\], class-major, with the number of images of each class.
#[derive(Debug)]
pub struct ClassImages {
    /// All images of class 0, then class 1, …
    pub images: Tensor,
    /// Images of each class, above zero.
    pub counts: Vec<i64>,
}

impl ClassImages {
    /// Images of which every class has as many.
    pub fn even(images: Tensor, classes: i64) -> Self {
        let each = images.size()[0] / classes.max(1);
        ClassImages { images, counts: vec![each; classes as usize] }
    }

    /// The images of one class, a view.
    pub fn class(&self, class: usize) -> Tensor {
        let start: i64 = self.counts[..class].iter().sum();
        self.images.narrow(0, start, self.counts[class])
    }

    /// The same images under the augmentation of their class.
    pub fn augmented(&self, augmentation: &ClassAugmentation) -> Self {
        if augmentation.operations.iter().all(Vec::is_empty) {
            return ClassImages { images: self.images.shallow_clone(), counts: self.counts.clone() };
        }
        let classes: Vec<_> =
            (0..self.counts.len()).map(|class| augmentation.apply(class, &self.class(class))).collect();
        ClassImages { images: Tensor::cat(&classes, 0), counts: self.counts.clone() }
    }

    /// The mean over each class of values \[N,D\] that belong to the images: \[K,D\].
    pub fn means(&self, values_ND: &Tensor) -> Tensor {
        let parts = values_ND.split_with_sizes(&self.counts, 0);
        Tensor::stack(&parts.iter().map(|part| part.mean_dim(0, false, values_ND.kind())).collect::<Vec<_>>(), 0)
    }
}

/// The classes in runs, each of at most `images` images where a class is not larger by itself.
pub fn class_groups(counts: &[i64], images: i64) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    let mut held = 0;
    for (class, &count) in counts.iter().enumerate() {
        match groups.last_mut() {
            Some(group) if held + count <= images => {
                group.end += 1;
                held += count;
            }
            _ => {
                groups.push(class..class + 1);
                held = count;
            }
        }
    }
    groups
}

/// How many synthetic images go through a network at a time when their gradient is wanted: as in training, but on a GPU
/// no more than its memory holds the graph of.
pub fn graph_chunk(device: Device) -> Chunk {
    Chunk(Chunk::training(device).0.min(512))
}

/// One augmentation per class: the operations of class k act on its real and on its synthetic images.
#[derive(Clone, Debug)]
pub struct ClassAugmentation {
    /// Per class; without operations the images stay as they are.
    pub operations: Vec<Vec<Operation>>,
    /// The strength of the operations.
    pub settings: Settings,
}

impl ClassAugmentation {
    /// Images stay as they are.
    pub fn none(classes: i64) -> Self {
        ClassAugmentation { operations: vec![Vec::new(); classes as usize], settings: Settings::default() }
    }

    /// One Siamese draw for each class, from `stream(seed, "augment", step)`; with no strategy, [`none`](Self::none).
    pub fn draw(strategy: Option<&Strategy>, classes: i64, image: [i64; 2], seed: u64, step: u64) -> Self {
        let Some(strategy) = strategy else { return Self::none(classes) };
        let settings = Settings::default();
        let mut stream = stream(seed, "augment", step);
        let size = (image[0], image[1]);
        let operations = (0..classes)
            .map(|_| strategy.draw(Mode::Single, Sharing::Siamese, size, &settings, stream.generator()))
            .collect();
        ClassAugmentation { operations, settings }
    }

    /// Images of one class under their augmentation.
    pub fn apply(&self, class: usize, images: &Tensor) -> Tensor {
        apply(images, &self.operations[class], &self.settings)
    }
}

/// The real images, ready to be drawn from by class.
pub struct RealImages<'a> {
    dataset: &'a Dataset,
    positions: Vec<Vec<i64>>,
}

impl<'a> RealImages<'a> {
    /// Checks that the real images can stand beside these synthetic ones.
    pub fn new(dataset: &'a Dataset, start: &SyntheticSet) -> Result<Self> {
        let (real, synthetic) = (dataset.image_shape(), start.images.size());
        ensure!(
            real[..] == synthetic[1..],
            "the real images are {real:?} (channels, height, width) and the synthetic ones {:?}; start from a set made \
             of the same data",
            &synthetic[1..]
        );
        ensure!(
            dataset.classes == start.classes && start.ipc > 0 && synthetic[0] == start.classes * start.ipc,
            "{} classes of real images, but {} synthetic images of {} classes with {} each; start from a set made of \
             the same data",
            dataset.classes,
            synthetic[0],
            start.classes,
            start.ipc
        );
        let positions = dataset.positions_by_class()?;
        if let Some(class) = positions.iter().position(Vec::is_empty) {
            anyhow::bail!("class {class} has no real image, so there is nothing to match; leave the class out");
        }
        Ok(RealImages { dataset, positions })
    }

    /// Draws `each` images of every class (all, of a class with fewer) from `stream(seed, "real", step)`.
    pub fn draw(&self, each: i64, seed: u64, step: u64) -> ClassImages {
        self.draw_for("real", each, seed, step)
    }

    /// `each` images of one class (all, of a class with fewer), \[B,C,H,W\], from `stream(seed, "real", step)`.
    pub fn draw_class(&self, class: usize, each: i64, seed: u64, step: u64) -> Tensor {
        let chosen = stream(seed, "real", step).choose(&self.positions[class], each as usize);
        self.dataset.floats_at(&Tensor::from_slice(&chosen))
    }

    /// [`draw`](Self::draw) from a stream of its own, for images with another purpose.
    pub fn draw_for(&self, purpose: &str, each: i64, seed: u64, step: u64) -> ClassImages {
        let mut stream = stream(seed, purpose, step);
        let mut drawn = Vec::new();
        let mut counts = Vec::new();
        for positions in &self.positions {
            let chosen = stream.choose(positions, each as usize);
            counts.push(chosen.len() as i64);
            drawn.extend(chosen);
        }
        ClassImages { images: self.dataset.floats_at(&Tensor::from_slice(&drawn)), counts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_keep_classes_whole() {
        assert_eq!(class_groups(&[10, 10, 10], 20), [0..2, 2..3]);
        assert_eq!(class_groups(&[50, 1, 2, 50], 16), [0..1, 1..3, 3..4]);
        assert_eq!(class_groups(&[3, 3, 3], 3), [0..1, 1..2, 2..3]);
        assert_eq!(class_groups(&[3, 3], i64::MAX).first(), Some(&(0..2)));
    }

    #[test]
    fn means_are_taken_by_class() {
        let images = ClassImages { images: Tensor::zeros([3, 1, 1, 1], tch::kind::FLOAT_CPU), counts: vec![1, 2] };
        let values = Tensor::from_slice(&[1.0f32, 5.0, 2.0, 4.0, 4.0, 8.0]).view([3, 2]);
        let means = Vec::<f32>::try_from(images.means(&values).flatten(0, -1)).unwrap();
        assert_eq!(means, [1.0, 5.0, 3.0, 6.0]);
    }
}
