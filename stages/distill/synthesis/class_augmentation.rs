//! One augmentation for each class, which acts on its real and on its synthetic images alike.

use ddpipe_nn::augment::{Mode, Operation, PlannedGroups, Settings, Sharing, Strategy, apply, apply_by_group};
use ddpipe_nn::layout::Layout;
use ddpipe_nn::pieces::Shared;
use ddpipe_nn::stream::stream;
use ddpipe_nn::transfer::{Parcel, Sent};
use std::ops::Range;
use std::sync::Arc;
use tch::{Device, Kind, TchError, Tensor};

/// One augmentation per class: the operations of class k act on its real and on its synthetic images.
#[derive(Clone)]
pub struct ClassAugmentation {
    /// Per class; without operations the images stay as they are.
    operations: Vec<Vec<Operation>>,
    /// The strength of the operations.
    settings: Settings,
    /// What was sent before.
    ready: Vec<Ready>,
}

/// The augmentation of all classes with so many images each, whose numbers are on the device.
#[derive(Clone)]
struct Ready {
    counts: Vec<i64>,
    planned: PlannedGroups,
    sent: Arc<Shared<Sent>>,
}

impl ClassAugmentation {
    /// These operations for each class.
    pub fn new(operations: Vec<Vec<Operation>>, settings: Settings) -> Self {
        ClassAugmentation { operations, settings, ready: Vec::new() }
    }

    /// Images stay as they are.
    pub fn none(classes: i64) -> Self {
        Self::new(vec![Vec::new(); classes as usize], Settings::default())
    }

    /// Whether images stay as they are.
    pub fn is_none(&self) -> bool {
        self.operations.iter().all(Vec::is_empty)
    }

    /// Sends a parcel, and with it what the augmentation will need for images of this shape (channels, height, width), of
    /// each number of images that classes have. Where classes do not go together that is nothing.
    pub fn sent_with(mut self, mut parcel: Parcel, shape: [i64; 3], counts: &[&[i64]], device: Device) -> (Self, Sent) {
        if Layout::of(device) == Layout::Pieces || self.is_none() {
            return (self, parcel.send(device));
        }
        let mut planned = |counts: &[i64]| {
            let shape = [counts.iter().sum(), shape[0], shape[1], shape[2]];
            let groups = self.operations.iter().map(Vec::as_slice).zip(counts.iter().copied());
            PlannedGroups::new(groups, &shape, Kind::Float, &self.settings, &mut parcel)
        };
        let planned: Vec<PlannedGroups> = counts.iter().map(|counts| planned(counts)).collect();
        let sent = parcel.send(device);
        let shared = Arc::new(Shared::new(sent.shared()));
        let ready = counts.iter().zip(planned);
        let ready = ready.map(|(counts, planned)| Ready { counts: counts.to_vec(), planned, sent: shared.clone() });
        self.ready = ready.collect();
        (self, sent)
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
        Self::new(operations, settings)
    }

    /// Images of some classes, class after class with so many images each, under their augmentation.
    pub fn apply_to(&self, classes: Range<usize>, images: &Tensor, counts: &[i64]) -> Result<Tensor, TchError> {
        let operations = &self.operations[classes.clone()];
        if operations.iter().all(Vec::is_empty) {
            return Ok(images.shallow_clone());
        }
        let whole = classes.len() == self.operations.len();
        if let Some(ready) = self.ready.iter().find(|ready| whole && ready.counts == counts) {
            return ready.planned.apply(images, &ready.sent);
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
