//! Means over classes of what a network sees of images, and the gradient of a loss of such means with respect to the
//! images, both in pieces. Knows no loss: a method says what is seen of an image, and how far means are apart.
//!
//! Legend: M synthetic images, C channels, H height, W width, K classes, D numbers that are seen of an image.

use crate::distill::synthesis::{ClassAugmentation, ClassImages};
use ddpipe_nn::autograd::{leaf, pulled_back};
use ddpipe_nn::network::{Chunk, Network};
use ddpipe_nn::pieces::{self, Graph};
use tch::{TchError, Tensor};

/// What a loss of means gives.
#[derive(Debug)]
pub struct Followed<T> {
    /// What the loss said of the means, without a graph.
    pub loss: T,
    /// The means of the synthetic images, \[K,D\] each, without a graph.
    pub means: Vec<Tensor>,
    /// \[M,C,H,W\], the gradient of the loss with respect to the synthetic images.
    pub gradient_MCHW: Tensor,
}

/// The means by class, \[K,D\] each, of what `seen` gives of images \[B,C,H,W\]: tensors \[B,D\]. Without a graph, at most
/// `chunk` images at a time; all at once where batch statistics make them depend on each other.
pub fn class_means(
    network: &Network,
    images: &ClassImages,
    chunk: Chunk,
    seen: impl Fn(&Tensor) -> Result<Vec<Tensor>, TchError> + Sync,
) -> Result<Vec<Tensor>, TchError> {
    let parts = split(network, &images.images, chunk)?;
    let rows = pieces::map(images.images.device(), Graph::Without, parts, |part| seen(&part))?;
    joined(rows.into_iter())?.iter().map(|values| images.means(values)).collect()
}

/// Follows a loss of means back to synthetic images, each class under its augmentation. There are two rounds, both in pieces
/// of at most `chunk` images: what is seen of the images, and the slope of the loss in it; then how each piece's images move it
/// along that slope. The graphs of the first round are held for the second where they are small; else it is computed
/// twice, with the same result. `loss` makes of the means a scalar, and anything else, which is handed back.
pub fn gradient_through_means<T>(
    network: &Network,
    synthetic: &ClassImages,
    augmentation: &ClassAugmentation,
    chunk: Chunk,
    seen: impl Fn(&Tensor) -> Result<Vec<Tensor>, TchError> + Sync,
    loss: impl FnOnce(&[Tensor]) -> Result<(Tensor, T), TchError>,
) -> Result<Followed<T>, TchError> {
    let device = synthetic.images.device();
    let pixels = leaf(&synthetic.images)?;
    let changed = augmentation.apply_to(0..synthetic.counts.len(), &pixels, &synthetic.counts)?;
    let parts = split(network, &changed.f_detach()?, chunk)?;
    let held = changed.size()[0] <= network.held(device).0;
    // A piece's images, and what is seen of them: with a graph, and then as leaves.
    let followed = |part: &Tensor| {
        let images = leaf(part)?;
        let rows = seen(&images)?;
        Ok::<_, TchError>((images, rows))
    };
    let graph = if held { Graph::Kept } else { Graph::Without };
    let first = |part: Tensor| if held { followed(&part) } else { Ok((part.shallow_clone(), seen(&part)?)) };
    let pieces = pieces::map(device, graph, parts, first)?;

    let values = joined(pieces.iter().map(|(_, rows)| rows.iter().map(Tensor::detach).collect()))?;
    let values: Vec<Tensor> = values.iter().map(leaf).collect::<Result<_, _>>()?;
    let means: Vec<Tensor> = values.iter().map(|values| synthetic.means(values)).collect::<Result<_, _>>()?;
    let (scalar, told) = loss(&means)?;
    let slopes = Tensor::f_run_backward(&[&scalar], &values, false, false)?;

    let sizes: Vec<i64> = pieces.iter().map(|(images, _)| images.size()[0]).collect();
    let slopes: Vec<Vec<Tensor>> =
        slopes.iter().map(|slopes| slopes.f_split_with_sizes(&sizes, 0)).collect::<Result<_, _>>()?;
    let of_piece = |place: usize| slopes.iter().map(|slopes| slopes[place].shallow_clone()).collect::<Vec<_>>();
    let pieces: Vec<_> = pieces.into_iter().enumerate().map(|(place, piece)| (piece, of_piece(place))).collect();
    let pull = |((images, rows), slopes): ((Tensor, Vec<Tensor>), Vec<Tensor>)| {
        let (images, rows) = if held { (images, rows) } else { followed(&images)? };
        let along: Result<Vec<Tensor>, TchError> =
            rows.iter().zip(&slopes).map(|(rows, slope)| rows.f_mul(slope)?.f_sum(rows.kind())).collect();
        let along = Tensor::f_stack(&along?, 0)?;
        Ok::<_, TchError>(Tensor::f_run_backward(&[&along.f_sum(along.kind())?], &[&images], false, false)?.remove(0))
    };
    let pulls = pieces::map(device, Graph::Kept, pieces, pull)?;
    Ok(Followed {
        loss: told,
        means: means.iter().map(Tensor::detach).collect(),
        gradient_MCHW: pulled_back(&changed, &Tensor::f_cat(&pulls, 0)?, &pixels)?,
    })
}

/// Images in the pieces in which they go through a network in training mode.
fn split(network: &Network, images: &Tensor, chunk: Chunk) -> Result<Vec<Tensor>, TchError> {
    match network.has_batch_statistics() {
        true => Ok(vec![images.shallow_clone()]),
        false => images.f_split_with_sizes(network.pieces(images, chunk), 0),
    }
}

/// What was seen of all images, \[M,D\] each, from what was seen of pieces of them.
fn joined(pieces: impl Iterator<Item = Vec<Tensor>>) -> Result<Vec<Tensor>, TchError> {
    let mut parts: Vec<Vec<Tensor>> = Vec::new();
    for piece in pieces {
        parts.resize_with(piece.len(), Vec::new);
        parts.iter_mut().zip(piece).for_each(|(parts, rows)| parts.push(rows));
    }
    parts.iter().map(|parts| Tensor::f_cat(parts, 0)).collect()
}
