//! Gradients of a network's loss with respect to its parameters, and what they ask of images: how far the gradient that
//! synthetic images give is from a given one, and where their pixels have to move. Pure: network, weights and images come
//! in, numbers go out. Networks are in evaluation mode: batch norms keep the statistics that they are given.
//!
//! Legend: B images of a batch, C channels, H height, W width, K classes.

use crate::common::network::{Chunk, Mode, Network, Parameters};
use tch::{Reduction, TchError, Tensor};

/// What one comparison gives.
#[derive(Debug)]
pub struct MatchedGradient {
    /// The distance, a scalar without a graph.
    pub distance: Tensor,
    /// Its gradient with respect to the pixels, in their shape.
    pub gradient: Tensor,
}

/// The gradient of the mean cross entropy of images \[B,C,H,W\] with labels (\[B\] int64, or probabilities \[B,K\]) with
/// respect to the trainable parameters, in their order, without a graph. Images go through the network a chunk at a
/// time, which changes rounding only.
pub fn constant_gradient(
    network: &Network,
    parameters: &Parameters,
    images_BCHW: &Tensor,
    labels: &Tensor,
    Chunk(chunk): Chunk,
) -> Result<Vec<Tensor>, TchError> {
    let count = images_BCHW.size()[0];
    let leaves = parameters.tracked();
    let mut sums: Vec<Tensor> = Vec::new();
    let parts = images_BCHW.f_split(chunk.max(1), 0)?;
    for (images, labels) in parts.iter().zip(labels.f_split(chunk.max(1), 0)?) {
        let loss = cross_entropy(network, &leaves, images, &labels, Reduction::Sum)?.f_div_scalar(count)?;
        let gradients = Tensor::f_run_backward(&[loss], &leaves.trainable, false, false)?;
        if sums.is_empty() {
            sums = gradients;
        } else {
            for (sum, gradient) in sums.iter_mut().zip(&gradients) {
                *sum = sum.f_add(gradient)?;
            }
        }
    }
    Ok(sums)
}

/// Compares the gradient that synthetic images give, and follows the comparison back to their pixels: second order, so
/// the graph of the gradient is held until the end. `view` makes of the pixels the images that the network sees, with
/// these labels (augmentation, decoding); `distance` makes of their gradient a scalar.
pub fn match_gradient(
    network: &Network,
    parameters: &Parameters,
    pixels: &Tensor,
    labels: &Tensor,
    view: impl FnOnce(&Tensor) -> Tensor,
    distance: impl FnOnce(&[Tensor]) -> Result<Tensor, TchError>,
) -> Result<MatchedGradient, TchError> {
    let leaves = parameters.tracked();
    let pixels = pixels.f_detach()?.f_set_requires_grad(true)?;
    let loss = cross_entropy(network, &leaves, &view(&pixels), labels, Reduction::Mean)?;
    let gradient = Tensor::f_run_backward(&[loss], &leaves.trainable, true, true)?;
    let distance = distance(&gradient)?;
    let gradient = Tensor::f_run_backward(&[&distance], &[&pixels], false, false)?.remove(0);
    Ok(MatchedGradient { distance: distance.detach(), gradient })
}

/// The parameters with the running statistics that batch norms have after one batch in training mode. Few synthetic
/// images say little about mean and variance, so real ones move them before gradients are compared.
pub fn with_statistics_of(
    network: &Network,
    parameters: Parameters,
    images_BCHW: &Tensor,
) -> Result<Parameters, TchError> {
    let output = tch::no_grad(|| network.forward(&parameters, images_BCHW, Mode::Train))?;
    Ok(Parameters { buffers: output.buffers, ..parameters })
}

fn cross_entropy(
    network: &Network,
    leaves: &Parameters,
    images: &Tensor,
    labels: &Tensor,
    reduction: Reduction,
) -> Result<Tensor, TchError> {
    let logits = network.forward(leaves, images, Mode::Eval)?.logits;
    logits.f_cross_entropy_loss(labels, None::<&Tensor>, reduction, -100, 0.0)
}
