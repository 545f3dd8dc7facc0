//! Images kept by class.
//!
//! Legend: N images, C channels, H height, W width, K classes, D anything.

use super::ClassAugmentation;
use ddpipe_nn::layout::Layout;
use ddpipe_nn::transfer;
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
        self.classes(class..class + 1)
    }

    /// The images of some classes, a view.
    pub fn classes(&self, classes: Range<usize>) -> Tensor {
        let start: i64 = self.counts[..classes.start].iter().sum();
        self.images.narrow(0, start, self.counts[classes].iter().sum())
    }

    /// The rows of one class in a tensor with a row for every image, \[N,…\]; a view.
    pub fn rows(&self, class: usize, tensor: &Tensor) -> Result<Tensor, TchError> {
        let start: i64 = self.counts[..class].iter().sum();
        tensor.f_narrow(0, start, self.counts[class])
    }

    /// The same images under the augmentation of their class.
    pub fn augmented(&self, augmentation: &ClassAugmentation) -> Result<Self, TchError> {
        let images = augmentation.apply_to(0..self.counts.len(), &self.images, &self.counts)?;
        Ok(ClassImages { images, counts: self.counts.clone() })
    }

    /// The mean over each class of values \[N,D\] that belong to the images: \[K,D\].
    pub fn means(&self, values_ND: &Tensor) -> Result<Tensor, TchError> {
        let kind = values_ND.kind();
        if Layout::of(values_ND.device()) == Layout::Pieces {
            let parts = values_ND.f_split_with_sizes(&self.counts, 0)?;
            let means: Result<Vec<_>, _> = parts.iter().map(|part| part.f_mean_dim(0, false, kind)).collect();
            return Tensor::f_stack(&means?, 0);
        }
        match each(&self.counts) {
            Some(each) => values_ND.f_reshape([self.counts.len() as i64, each, -1])?.f_mean_dim(1, false, kind),
            None => self.shares(values_ND)?.f_matmul(values_ND),
        }
    }

    /// \[K,N\], the share that an image has in the mean of a class.
    fn shares(&self, like: &Tensor) -> Result<Tensor, TchError> {
        let images: i64 = self.counts.iter().sum();
        let mut shares = vec![0f64; self.counts.len() * images as usize];
        let mut start = 0;
        for (row, &count) in shares.chunks_exact_mut(images.max(1) as usize).zip(&self.counts) {
            row[start..start + count as usize].fill(1.0 / count as f64);
            start += count as usize;
        }
        transfer::constant(&shares, like.kind(), like.device()).f_view([self.counts.len() as i64, images])
    }
}

/// How many images each class has, where all have as many.
pub fn each(counts: &[i64]) -> Option<i64> {
    counts.first().copied().filter(|first| counts.iter().all(|count| count == first))
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
    #![allow(clippy::unwrap_used)]

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
        let even = ClassImages { images: images.images.shallow_clone(), counts: vec![1; 3] };
        for layout in [Layout::Pieces, Layout::Together] {
            let means = |images: &ClassImages| {
                layout.on_cpu(|| Vec::<f32>::try_from(images.means(&values).unwrap().flatten(0, -1)).unwrap())
            };
            assert_eq!(means(&images), [1.0, 5.0, 3.0, 6.0], "{layout:?}");
            assert_eq!(means(&even), [1.0, 5.0, 2.0, 4.0, 4.0, 8.0], "{layout:?}");
        }
    }
}
