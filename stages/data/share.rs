//! Which images of a class become test images, where nothing in the data says so. The draw depends on a seed of its own and
//! not on the pipeline's, so that all seeds of an experiment have the same test set.

use ddpipe_nn::stream::stream;
use std::collections::BTreeSet;

/// The positions, below `count`, of the images that become test images: their share, rounded, at least one image, and never
/// all of two or more. `class` names the draw, so that adding or removing a class does not change those of the others.
pub fn test_images(count: usize, share: f64, seed: u64, class: &str) -> BTreeSet<i64> {
    let wanted = (count as f64 * share).round() as usize;
    let wanted = wanted.clamp(1, count.saturating_sub(1).max(1));
    let order = stream(seed, &format!("folder share {class}"), 0).permutation(count as i64);
    order.into_iter().take(wanted).collect()
}
