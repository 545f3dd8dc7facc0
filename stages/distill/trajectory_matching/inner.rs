//! The random draws of the inner steps of one iteration: the batches of synthetic images, and an augmentation with its
//! own draw for every image. Spatial operations sample with `align_corners = true`, as `augment::per_image` sets it.

use ddpipe_nn::augment::{Operation, Settings, Strategy, per_image};
use ddpipe_nn::stream::stream;
use ddpipe_nn::transfer;
use tch::{Device, Tensor};

/// One inner step: its batch and its augmentation.
#[derive(Debug)]
pub struct InnerStep {
    /// \[B\] int64, the positions of the batch's images without repetition, on the device of the images.
    pub positions: Tensor,
    /// The operations of the augmentation in the order in which they are applied; empty for none.
    pub operations: Vec<Operation>,
}

/// The settings of the inner steps, the same in all iterations.
#[derive(Debug)]
pub struct Inner {
    /// The number of inner steps of an iteration.
    pub steps: u64,
    /// The number of images of a batch; all images for `None`.
    pub batch: Option<i64>,
    /// The augmentation, if any.
    pub strategy: Option<Strategy>,
    /// The strength of the augmentation.
    pub settings: Settings,
}

impl Inner {
    /// Settings with `steps` inner steps on batches of `batch` images (all images for `None`).
    pub fn new(steps: u64, batch: Option<i64>, strategy: Option<&Strategy>) -> Self {
        Inner { steps, batch, strategy: strategy.cloned(), settings: per_image::settings() }
    }

    /// Draws the steps of one iteration on images of this shape \[M,C,H,W\], from `stream(seed, "batches", iteration)`
    /// and `stream(seed, "augment", iteration)`.
    pub fn draw(&self, seed: u64, iteration: u64, shape: &[i64], device: Device) -> Vec<InnerStep> {
        let mut order = stream(seed, "batches", iteration);
        let batch = self.batch.unwrap_or(shape[0]).clamp(1, shape[0].max(1));
        let mut draws = stream(seed, "augment", iteration);
        let batches = batches(|| order.permutation(shape[0]), self.steps, batch);
        let all = transfer::upload(&batches.concat(), device);
        let mut start = 0;
        let step = |positions: Vec<i64>| {
            let count = positions.len() as i64;
            start += count;
            InnerStep {
                operations: self.strategy.as_ref().map_or(Vec::new(), |strategy| {
                    per_image::operations(strategy, count, shape, &self.settings, &mut draws)
                }),
                positions: all.narrow(0, start - count, count),
            }
        };
        batches.into_iter().map(step).collect()
    }
}

/// The positions of every step's images. A permutation is cut into batches, which are used from the last to the first;
/// then comes the next permutation. The last batch of a permutation, which is used first, may be smaller.
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
