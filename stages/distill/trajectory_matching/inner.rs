//! What is drawn for the inner steps of one iteration: the batches of synthetic images, and an augmentation of each with
//! a draw of its own for every image, in this line's convention of the sampling grid.

use ddpipe_nn::augment::{Operation, Settings, Strategy, per_image};
use ddpipe_nn::stream::stream;
use tch::{Device, Tensor};

/// One inner step: which images, and what happens to them.
#[derive(Debug)]
pub struct InnerStep {
    /// \[B\] int64, none twice, on the images' device.
    pub positions: Tensor,
    /// In the order in which they act; none leaves the images as they are.
    pub operations: Vec<Operation>,
}

/// What stays the same over all iterations.
#[derive(Debug)]
pub struct Inner {
    /// Steps of an iteration.
    pub steps: u64,
    /// Images of a step; all when left out.
    pub batch: Option<i64>,
    /// The augmentation, if any.
    pub strategy: Option<Strategy>,
    /// Its strength.
    pub settings: Settings,
}

impl Inner {
    /// So many steps of so many images (all, when left out).
    pub fn new(steps: u64, batch: Option<i64>, strategy: Option<&Strategy>) -> Self {
        Inner { steps, batch, strategy: strategy.cloned(), settings: per_image::settings() }
    }

    /// The steps of one iteration on images of this shape \[M,C,H,W\], from `stream(seed, "batches", iteration)` and
    /// `stream(seed, "augment", iteration)`.
    pub fn draw(&self, seed: u64, iteration: u64, shape: &[i64], device: Device) -> Vec<InnerStep> {
        let mut order = stream(seed, "batches", iteration);
        let batch = self.batch.unwrap_or(shape[0]).clamp(1, shape[0].max(1));
        let mut draws = stream(seed, "augment", iteration);
        let step = |positions: Vec<i64>| InnerStep {
            operations: self.strategy.as_ref().map_or(Vec::new(), |strategy| {
                per_image::operations(strategy, positions.len() as i64, shape, &self.settings, &mut draws)
            }),
            positions: Tensor::from_slice(&positions).to_device(device),
        };
        batches(|| order.permutation(shape[0]), self.steps, batch).into_iter().map(step).collect()
    }
}

/// The positions of every step's images: a permutation is cut into batches, which are used from the last to the first;
/// then comes the next permutation. The last batch of a permutation, the first to be used, may be smaller.
pub fn batches(mut permutation: impl FnMut() -> Vec<i64>, steps: u64, batch: i64) -> Vec<Vec<i64>> {
    let mut waiting: Vec<Vec<i64>> = Vec::new();
    let mut taken = Vec::with_capacity(steps as usize);
    while (taken.len() as u64) < steps {
        match waiting.pop() {
            Some(positions) => taken.push(positions),
            None => {
                waiting = permutation().chunks(batch.max(1) as usize).map(<[i64]>::to_vec).collect();
                if waiting.is_empty() {
                    break;
                }
            }
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_taken_from_the_end_and_a_new_order_follows() {
        let mut orders = [vec![0, 1, 2, 3, 4], vec![4, 3, 2, 1, 0]].into_iter();
        let taken = batches(|| orders.next().unwrap(), 5, 2);
        assert_eq!(taken, [vec![4], vec![2, 3], vec![0, 1], vec![0], vec![2, 1]]);
        assert!(batches(Vec::new, 3, 2).is_empty());
    }
}
