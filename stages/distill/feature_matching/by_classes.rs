//! The gradient of a loss that is a sum over classes, a few classes at a time.

use crate::distill::synthesis::{ClassAugmentation, ClassImages, class_groups};
use ddpipe_nn::autograd::leaf;
use ddpipe_nn::layout::Layout;
use ddpipe_nn::network::{Chunk, Network};
use ddpipe_nn::pieces::{self, Graph};
use std::ops::Range;
use tch::{TchError, Tensor};

/// The gradient of a sum over classes with respect to the images, in their shape. The sum falls apart, so a few classes
/// at a time go forward and back, and only their graph is held; the result is the same up to rounding. With batch
/// statistics all classes go together. `compare` gets such classes and their images under their augmentation, and gives
/// its part of the sum, a scalar, and anything else, which is handed back.
pub fn gradient_by_classes<T: Send>(
    network: &Network,
    synthetic: &ClassImages,
    augmentation: &ClassAugmentation,
    chunk: Chunk,
    compare: impl Fn(Range<usize>, &ClassImages) -> Result<(Tensor, T), TchError> + Sync,
) -> Result<(Tensor, Vec<T>), TchError> {
    let (counts, device) = (&synthetic.counts, synthetic.images.device());
    let groups = class_groups(counts, together(network, chunk).0);
    // Leaves of the graph: the images of each class by itself, or those of all classes of the group.
    let split = |group: &Range<usize>| match Layout::of(device) {
        Layout::Pieces => group.clone().map(|class| class..class + 1).collect(),
        Layout::Together => vec![group.clone()],
    };
    let pixels = groups.into_iter().map(|group| {
        let images = split(&group).into_iter().map(|classes| (classes.clone(), synthetic.classes(classes)));
        (group, images.collect::<Vec<_>>())
    });
    let gradient = |(group, images): (Range<usize>, Vec<(Range<usize>, Tensor)>)| {
        let leaves: Vec<_> = images.iter().map(|(_, images)| leaf(images)).collect::<Result<_, _>>()?;
        let augmented = images
            .iter()
            .zip(&leaves)
            .map(|((classes, _), leaf)| augmentation.apply_to(classes.clone(), leaf, &counts[classes.clone()]));
        let counts = counts[group.clone()].to_vec();
        let images = ClassImages { images: Tensor::f_cat(&augmented.collect::<Result<Vec<_>, _>>()?, 0)?, counts };
        let (part, other) = compare(group, &images)?;
        Ok::<_, TchError>((Tensor::f_run_backward(&[part], &leaves, false, false)?, other))
    };
    let found: Vec<(Vec<Tensor>, T)> = pieces::map(device, Graph::Kept, pixels.collect(), gradient)?;
    let (gradients, others): (Vec<_>, Vec<_>) = found.into_iter().unzip();
    Ok((Tensor::f_cat(&gradients.into_iter().flatten().collect::<Vec<_>>(), 0)?, others))
}

/// How many images may go through a network in training mode at a time: all at once, where batch statistics make them
/// depend on each other.
pub fn together(network: &Network, Chunk(chunk): Chunk) -> Chunk {
    Chunk(if network.has_batch_statistics() { i64::MAX } else { chunk.max(1) })
}
