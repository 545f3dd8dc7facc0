//! One augmentation for each class, which acts on its real and on its synthetic images alike.

use ddpipe_nn::augment::{Mode, Operation, Settings, Sharing, Strategy, apply, apply_by_group};
use ddpipe_nn::layout::Layout;
use ddpipe_nn::stream::stream;
use std::ops::Range;
use tch::{TchError, Tensor};

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

    /// Images of some classes, class after class with so many images each, under their augmentation.
    pub fn apply_to(&self, classes: Range<usize>, images: &Tensor, counts: &[i64]) -> Result<Tensor, TchError> {
        let operations = &self.operations[classes.clone()];
        if operations.iter().all(Vec::is_empty) {
            return Ok(images.shallow_clone());
        }
        match Layout::of(images.device()) {
            Layout::Together => {
                let groups = operations.iter().map(Vec::as_slice).zip(counts.iter().copied());
                apply_by_group(images, groups, &self.settings)
            }
            Layout::Pieces => {
                let parts = images.f_split_with_sizes(counts, 0)?;
                let changed: Vec<_> = classes.zip(&parts).map(|(class, part)| self.apply(class, part)).collect();
                Tensor::f_cat(&changed, 0)
            }
        }
    }

    /// Images of one class under their augmentation.
    pub fn apply(&self, class: usize, images: &Tensor) -> Tensor {
        apply(images, &self.operations[class], &self.settings)
    }
}
