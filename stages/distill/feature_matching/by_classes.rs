//! The gradient of a loss that is a sum over classes, a few classes at a time.

use crate::distill::synthesis::{ClassAugmentation, ClassImages, class_groups};
use ddpipe_nn::network::{Chunk, Network};
use std::ops::Range;
use tch::{TchError, Tensor};

/// The gradient of a sum over classes with respect to the images, in their shape. The sum falls apart, so a few classes
/// at a time go forward and back, and only their graph is held; the result is the same up to rounding. With batch
/// statistics all classes go together. `compare` gets such classes and their images under their augmentation, and gives
/// its part of the sum, a scalar, and anything else, which is handed back.
pub fn gradient_by_classes<T>(
    network: &Network,
    synthetic: &ClassImages,
    augmentation: &ClassAugmentation,
    chunk: Chunk,
    mut compare: impl FnMut(Range<usize>, &ClassImages) -> Result<(Tensor, T), TchError>,
) -> Result<(Tensor, Vec<T>), TchError> {
    let (mut gradients, mut others) = (Vec::new(), Vec::new());
    for group in class_groups(&synthetic.counts, together(network, chunk).0) {
        let leaves: Vec<_> = group
            .clone()
            .map(|class| synthetic.class(class).f_detach()?.f_set_requires_grad(true))
            .collect::<Result<_, _>>()?;
        let augmented: Vec<_> =
            group.clone().zip(&leaves).map(|(class, leaf)| augmentation.apply(class, leaf)).collect();
        let counts = synthetic.counts[group.clone()].to_vec();
        let images = ClassImages { images: Tensor::f_cat(&augmented, 0)?, counts };
        let (part, other) = compare(group, &images)?;
        gradients.extend(Tensor::f_run_backward(&[part], &leaves, false, false)?);
        others.push(other);
    }
    Ok((Tensor::f_cat(&gradients, 0)?, others))
}

/// How many images may go through a network in training mode at a time: all at once, where batch statistics make them
/// depend on each other.
pub fn together(network: &Network, Chunk(chunk): Chunk) -> Chunk {
    Chunk(if network.has_batch_statistics() { i64::MAX } else { chunk.max(1) })
}
