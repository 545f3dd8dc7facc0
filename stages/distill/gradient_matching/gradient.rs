//! Gradients of a network's loss with respect to its parameters, and what they ask of images: how far the gradient that
//! synthetic images give is from a given one, and where their pixels have to move. Pure: network, weights and images come
//! in, numbers go out. Networks are in evaluation mode: batch norms keep the statistics that they are given.
//!
//! Legend: B images of a batch, C channels, H height, W width, K classes.

use ddpipe_nn::autograd::leaf;
use ddpipe_nn::network::{Chunk, Mode, Network, Parameters};
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
    match_gradient_in_chunks(network, parameters, pixels, labels, view, distance, Chunk(i64::MAX))
}

/// The same for more images than `chunk`, in two rounds: first their gradient itself, without a graph, and the slope of
/// the distance in it; then, a chunk at a time, how the images move the gradient along that slope. Only a chunk's graph
/// is held, and the result is the same up to rounding.
pub fn match_gradient_in_chunks(
    network: &Network,
    parameters: &Parameters,
    pixels: &Tensor,
    labels: &Tensor,
    view: impl FnOnce(&Tensor) -> Tensor,
    distance: impl FnOnce(&[Tensor]) -> Result<Tensor, TchError>,
    chunk: Chunk,
) -> Result<MatchedGradient, TchError> {
    let leaves = parameters.tracked();
    let pixels = leaf(pixels)?;
    let images = view(&pixels);
    let count = images.size()[0];
    if count <= chunk.0.max(1) {
        let loss = cross_entropy(network, &leaves, &images, labels, Reduction::Mean)?;
        let gradient = Tensor::f_run_backward(&[loss], &leaves.trainable, true, true)?;
        let distance = distance(&gradient)?;
        return Ok(MatchedGradient { gradient: slope(&distance, &pixels)?, distance: distance.detach() });
    }

    let gradient = constant_gradient(network, parameters, &images.f_detach()?, labels, chunk)?;
    let gradient: Vec<Tensor> = gradient.iter().map(leaf).collect::<Result<_, _>>()?;
    let distance = distance(&gradient)?;
    let slopes = Tensor::f_run_backward(&[&distance], &gradient, false, false)?;
    // A distance may leave parameters out; what moves their gradient moves nothing.
    let counts: Vec<(&Tensor, &Tensor)> =
        leaves.trainable.iter().zip(&slopes).filter(|(_, slope)| slope.defined()).collect();
    let used: Vec<&Tensor> = counts.iter().map(|(parameter, _)| *parameter).collect();
    let mut pulls = Vec::new();
    for (part, labels) in images.f_split(chunk.0.max(1), 0)?.iter().zip(labels.f_split(chunk.0.max(1), 0)?) {
        let part = leaf(part)?;
        let loss = cross_entropy(network, &leaves, &part, &labels, Reduction::Sum)?.f_div_scalar(count)?;
        let gradient = Tensor::f_run_backward(&[loss], &used, true, true)?;
        let along: Result<Vec<_>, TchError> =
            gradient.iter().zip(&counts).map(|(own, (_, slope))| own.f_mul(slope)?.f_sum(own.kind())).collect();
        let along = Tensor::f_stack(&along?, 0)?;
        pulls.push(slope(&along.f_sum(along.kind())?, &part)?);
    }
    let pulled = images.f_mul(&Tensor::f_cat(&pulls, 0)?)?;
    Ok(MatchedGradient { gradient: slope(&pulled.f_sum(pulled.kind())?, &pixels)?, distance: distance.detach() })
}

/// The gradient of a scalar with respect to one leaf.
fn slope(scalar: &Tensor, leaf: &Tensor) -> Result<Tensor, TchError> {
    Ok(Tensor::f_run_backward(&[scalar], &[leaf], false, false)?.remove(0))
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
