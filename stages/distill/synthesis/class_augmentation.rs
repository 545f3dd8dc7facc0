//! One augmentation for each class, which acts on its real and on its synthetic images alike.

use ddpipe_nn::augment::{Mode, Operation, Settings, Sharing, Strategy, apply};
use ddpipe_nn::stream::stream;
use tch::Tensor;

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
