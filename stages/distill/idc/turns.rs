//! Whose turn it is in IDC's loop, and the published rules for rates and epochs. A step moves the images once, for one
//! class; a turn is a step for each class; in between, the network learns from real images. Numbers only.

/// The loop.
#[derive(Clone, Copy, Debug)]
pub struct Turns {
    /// Steps of a turn.
    pub classes: u64,
    /// Turns of an iteration.
    pub inner: u64,
    /// Iterations that keep their network.
    pub iterations_per_network: u64,
    /// Batches that a fresh network learns before its first turn.
    pub early: u64,
    /// Batches that it learns between two turns.
    pub lesson: u64,
}

/// What a step begins with. Batches are counted over the whole run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// The network of this number, fresh, which learns its early batches from this one on.
    Network {
        /// From 0.
        number: u64,
        /// From 0.
        batch: u64,
    },
    /// The network learns the batches of a lesson from this one on.
    Lesson {
        /// From 0.
        batch: u64,
    },
    /// The network of the step before, as it is.
    Same,
}

impl Turns {
    /// Whether an iteration begins with this step, counted from 0.
    pub fn begins_iteration(&self, step: u64) -> bool {
        step.is_multiple_of(self.classes * self.inner)
    }

    /// What this step begins with.
    pub fn opening(&self, step: u64) -> Opening {
        if !step.is_multiple_of(self.classes) {
            return Opening::Same;
        }
        let turn = step / self.classes;
        let per_network = self.inner * self.iterations_per_network;
        let number = turn / per_network;
        if turn.is_multiple_of(per_network) {
            return Opening::Network { number, batch: number * self.early + (turn - number) * self.lesson };
        }
        Opening::Lesson { batch: (number + 1) * self.early + (turn - number - 1) * self.lesson }
    }
}

/// The learning rate of the images: the given one for 10 stored images per class of `base` pixels a side, else in
/// proportion to their number and area (`tune_lr_img`).
pub fn image_rate(lr: f64, ipc: i64, [height, width]: [i64; 2], base: f64) -> f64 {
    lr * ipc as f64 / 10.0 * (height * width) as f64 / (base * base)
}

/// Epochs of the published evaluations of images of 32 pixels a side and less.
const SMALL_EPOCHS: u64 = 1000;

/// How long the published evaluations train: 1000 epochs on small images, on large ones what [`ipc_epoch`] says.
pub fn evaluation_epochs([height, width]: [i64; 2], ipc: i64, factor: i64, classes: i64, bound: Option<i64>) -> u64 {
    if height.max(width) <= 32 { SMALL_EPOCHS } else { ipc_epoch(ipc, factor, classes, bound) }
}

/// The rule for ImageNet: fewer epochs for more decoded images per class, two thirds of them for 100 classes.
pub fn ipc_epoch(ipc: i64, factor: i64, classes: i64, bound: Option<i64>) -> u64 {
    let decoded = ipc * factor.max(1).pow(2);
    let epochs = match bound.map_or(decoded, |bound| decoded.min(bound)) {
        ..=1 => 3000,
        2..=10 => 2000,
        11..=50 => 1500,
        51..=200 => 1000,
        201..=500 => 500,
        _ => 300,
    };
    if classes == 100 { epochs * 2 / 3 / 100 * 100 } else { epochs }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_learns_early_and_between_its_turns_and_no_batch_comes_twice() {
        let turns = Turns { classes: 2, inner: 2, iterations_per_network: 1, early: 5, lesson: 3 };
        let openings: Vec<_> = (0..9).map(|step| turns.opening(step)).collect();
        use Opening::{Lesson, Network, Same};
        let expected = [
            Network { number: 0, batch: 0 },
            Same,
            Lesson { batch: 5 },
            Same,
            Network { number: 1, batch: 8 },
            Same,
            Lesson { batch: 13 },
            Same,
            Network { number: 2, batch: 16 },
        ];
        assert_eq!(openings, expected);
        assert_eq!((0..9).filter(|&step| turns.begins_iteration(step)).collect::<Vec<_>>(), [0, 4, 8]);
        let kept = Turns { iterations_per_network: 2, ..turns };
        assert_eq!((kept.opening(4), kept.opening(8)), (Lesson { batch: 8 }, Network { number: 1, batch: 14 }));
    }

    #[test]
    fn small_images_are_evaluated_for_1000_epochs() {
        assert_eq!(evaluation_epochs([28, 28], 1, 2, 10, None), 1000);
        assert_eq!(evaluation_epochs([224, 224], 20, 3, 10, None), 1000);
        assert_eq!(evaluation_epochs([224, 224], 20, 3, 10, Some(128)), 1000);
        assert_eq!(evaluation_epochs([224, 224], 50, 3, 10, Some(128)), 1000);
        assert_eq!(evaluation_epochs([224, 224], 50, 3, 10, None), 500);
    }
}
