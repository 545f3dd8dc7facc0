//! Images kept by class.
//!
//! Legend: N images, C channels, H height, W width, K classes, D anything.

use super::ClassAugmentation;
use std::ops::Range;
use tch::{TchError, Tensor};

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

    /// The rows of one class in a tensor with a row for every image, \[N,…\]; a view.
    pub fn rows(&self, class: usize, tensor: &Tensor) -> Result<Tensor, TchError> {
        let start: i64 = self.counts[..class].iter().sum();
        tensor.f_narrow(0, start, self.counts[class])
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
