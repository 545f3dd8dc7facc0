//! The nested loops of IDC, and the published rules for rates and epochs. A step moves the images of one class; a turn is
//! a step for each class; an iteration has several turns, and several iterations may have one network, which is trained on
//! real images before each turn. Numbers only.

/// The loops.
#[derive(Clone, Copy, Debug)]
pub struct Loops {
    /// Classes, and so steps of a turn.
    pub classes: u64,
    /// Turns of an iteration.
    pub inner: u64,
    /// Iterations that keep their network.
    pub iterations_per_network: u64,
    /// Batches of real images that a fresh network is trained on before its first turn.
    pub early_batches: u64,
    /// Batches that it is trained on between two turns.
    pub train_batches: u64,
}

/// One step of the images in the loops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Counted from 0 over the whole run.
    pub step: u64,
    /// The class whose images move.
    pub class: usize,
    /// Whether an iteration begins with this step.
    pub begins_iteration: bool,
    /// What happens to the network before the step.
    pub starts: Starts,
}

/// What happens to the network before a step. Batches of real images are counted from 0 over the whole run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Starts {
    /// It is a fresh one, trained on its early batches.
    Fresh {
        /// Networks before it.
        number: u64,
        /// The first of its early batches.
        batch: u64,
    },
    /// It is trained on the batches between two turns.
    AfterTraining {
        /// The first of them.
        batch: u64,
    },
    /// It stays as it is.
    Same,
}

impl Loops {
    /// The steps of a run of `steps` steps, of which `done` are done.
    pub fn positions(self, done: u64, steps: u64) -> impl Iterator<Item = Position> {
        (done..steps).map(move |step| Position {
            step,
            class: (step % self.classes) as usize,
            begins_iteration: step.is_multiple_of(self.classes * self.inner),
            starts: self.starts(step),
        })
    }

    fn starts(&self, step: u64) -> Starts {
        if !step.is_multiple_of(self.classes) {
            return Starts::Same;
        }
        let turn = step / self.classes;
        let per_network = self.inner * self.iterations_per_network;
        let number = turn / per_network;
        // Trainings between turns that went before: one for each turn but the first of every network.
        if turn.is_multiple_of(per_network) {
            return Starts::Fresh { number, batch: number * self.early_batches + (turn - number) * self.train_batches };
        }
        let batch = (number + 1) * self.early_batches + (turn - number - 1) * self.train_batches;
        Starts::AfterTraining { batch }
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
    fn a_network_is_trained_early_and_between_its_turns_and_no_batch_comes_twice() {
        use Starts::{AfterTraining, Fresh, Same};
        let loops = Loops { classes: 2, inner: 2, iterations_per_network: 1, early_batches: 5, train_batches: 3 };
        let expected = [
            Fresh { number: 0, batch: 0 },
            Same,
            AfterTraining { batch: 5 },
            Same,
            Fresh { number: 1, batch: 8 },
            Same,
            AfterTraining { batch: 13 },
            Same,
            Fresh { number: 2, batch: 16 },
        ];
        let positions: Vec<_> = loops.positions(0, 9).collect();
        assert_eq!(positions.iter().map(|at| at.starts).collect::<Vec<_>>(), expected);
        assert_eq!(positions.iter().map(|at| at.class).collect::<Vec<_>>(), [0, 1, 0, 1, 0, 1, 0, 1, 0]);
        let begun = positions.iter().filter(|at| at.begins_iteration).map(|at| at.step);
        assert_eq!(begun.collect::<Vec<_>>(), [0, 4, 8]);
        assert_eq!(loops.positions(4, 9).collect::<Vec<_>>(), positions[4..], "a run that continues");
        let kept = Loops { iterations_per_network: 2, ..loops };
        let kept: Vec<_> = kept.positions(0, 9).map(|at| at.starts).collect();
        assert_eq!((kept[4], kept[8]), (AfterTraining { batch: 8 }, Fresh { number: 1, batch: 14 }));
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
