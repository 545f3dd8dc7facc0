//! Gradients of a network's loss with respect to its parameters, and what they ask of images: how far the gradient that
//! synthetic images give is from a given one, and where their pixels have to move. Pure: network, weights and images come
//! in, numbers go out. Networks are in evaluation mode: batch norms keep the statistics that they are given.
//!
//! Legend: B images of a batch, C channels, H height, W width, K classes.

use ddpipe_nn::autograd::{leaf, pulled_back};
use ddpipe_nn::network::{Chunk, Mode, Network, Parameters};
use ddpipe_nn::pieces::{self, Graph, Shared};
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
    chunk: Chunk,
) -> Result<Vec<Tensor>, TchError> {
    let count = images_BCHW.size()[0];
    let leaves = Shared::new(parameters.tracked());
    let sizes = network.pieces(images_BCHW, chunk);
    let parts = images_BCHW.f_split_with_sizes(&sizes, 0)?.into_iter().zip(labels.f_split_with_sizes(&sizes, 0)?);
    let gradient = |(images, labels): (Tensor, Tensor)| {
        let loss = cross_entropy(network, &leaves, &images, &labels, Reduction::Sum)?.f_div_scalar(count)?;
        Tensor::f_run_backward(&[loss], &leaves.trainable, false, false)
    };
    let sum = |one: Vec<Tensor>, other: Vec<Tensor>| {
        tch::no_grad(|| one.iter().zip(&other).map(|(one, other)| one.f_add(other)).collect())
    };
    let sums = pieces::fold(images_BCHW.device(), Graph::Kept, parts.collect(), gradient, sum)?;
    Ok(sums.unwrap_or_default())
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

/// The same with the graphs of no more than `chunk` images at a time; the gradients of more are computed twice. Either way
/// there are two rounds, both in pieces: first the gradient of the images, and the slope of the distance in it; then how
/// each piece's images move the gradient along that slope. The result is the same up to rounding.
pub fn match_gradient_in_chunks(
    network: &Network,
    parameters: &Parameters,
    pixels: &Tensor,
    labels: &Tensor,
    view: impl FnOnce(&Tensor) -> Tensor,
    distance: impl FnOnce(&[Tensor]) -> Result<Tensor, TchError>,
    chunk: Chunk,
) -> Result<MatchedGradient, TchError> {
    let pixels = leaf(pixels)?;
    let images = view(&pixels);
    let seen = images.f_detach()?;
    let (count, device) = (images.size()[0], images.device());
    let leaves = Shared::new(parameters.tracked());
    let held = count <= chunk.0.max(1);
    let Chunk(usual) = network.chunk(device, Graph::Kept);
    let sizes = network.pieces(&images, Chunk(if held { usual } else { chunk.0.clamp(1, usual) }));
    let parts = seen.f_split_with_sizes(&sizes, 0)?.into_iter().zip(labels.f_split_with_sizes(&sizes, 0)?);
    // A piece's images as leaves, and its share in the gradient with respect to these parameters, with its graph.
    let share = |images: &Tensor, labels: &Tensor, with: &[&Tensor]| {
        let images = leaf(images)?;
        let loss = cross_entropy(network, &leaves, &images, labels, Reduction::Sum)?.f_div_scalar(count)?;
        let gradient = Tensor::f_run_backward(&[loss], with, true, true)?;
        Ok::<_, TchError>((images, gradient))
    };

    let of_all = |(images, labels): (Tensor, Tensor)| {
        let all: Vec<&Tensor> = leaves.trainable.iter().collect();
        Ok::<_, TchError>(match held {
            true => (share(&images, &labels, &all)?, labels),
            false => ((images, Vec::new()), labels),
        })
    };
    let parts = pieces::map(device, Graph::Kept, parts.collect(), of_all)?;
    let gradient = match held {
        true => sums(parts.iter().map(|((_, gradient), _)| gradient))?,
        false => constant_gradient(network, parameters, &seen, labels, chunk)?,
    };
    let gradient: Vec<Tensor> = gradient.iter().map(leaf).collect::<Result<_, _>>()?;
    let distance = distance(&gradient)?;
    let slopes = Shared::new(Tensor::f_run_backward(&[&distance], &gradient, false, false)?);

    let pull = |((images, gradient), labels): ((Tensor, Vec<Tensor>), Tensor)| {
        // A distance may leave parameters out; what moves their gradient moves nothing.
        let counted = || leaves.trainable.iter().zip(slopes.iter()).filter(|(_, slope)| slope.defined());
        let (images, gradient) = match held {
            true => {
                let counted = gradient.into_iter().zip(slopes.iter()).filter(|(_, slope)| slope.defined());
                (images, counted.map(|(own, _)| own).collect())
            }
            false => share(&images, &labels, &counted().map(|(parameter, _)| parameter).collect::<Vec<_>>())?,
        };
        let along: Result<Vec<_>, TchError> =
            gradient.iter().zip(counted()).map(|(own, (_, slope))| own.f_mul(slope)?.f_sum(own.kind())).collect();
        let along = Tensor::f_stack(&along?, 0)?;
        slope(&along.f_sum(along.kind())?, &images)
    };
    let pulls = pieces::map(device, Graph::Kept, parts, pull)?;
    let gradient = pulled_back(&images, &Tensor::f_cat(&pulls, 0)?, &pixels)?;
    Ok(MatchedGradient { gradient, distance: distance.detach() })
}

/// The sums of gradients, parameter by parameter, without a graph.
fn sums<'a>(gradients: impl Iterator<Item = &'a Vec<Tensor>>) -> Result<Vec<Tensor>, TchError> {
    let detached = |gradient: &Vec<Tensor>| gradient.iter().map(Tensor::f_detach).collect::<Result<Vec<_>, _>>();
    let mut gradients = gradients.map(detached);
    let first = gradients.next().transpose()?.unwrap_or_default();
    gradients.try_fold(first, |sum, next| sum.iter().zip(&next?).map(|(sum, next)| sum.f_add(next)).collect())
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
