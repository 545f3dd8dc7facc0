//! Loss and gradient of one batch, computed in pieces where the network allows it; that changes nothing but rounding.

use super::Batch;
use ddpipe_nn::network::{Chunk, Mode, Network, Output, Parameters};
use ddpipe_nn::pieces::{self, Graph, Shared};
use tch::{Reduction, TchError, Tensor};

/// Loss, predictions and gradients of one batch.
#[derive(Debug)]
pub struct Gradient {
    /// Mean loss over the batch, a scalar without a graph.
    pub loss: Tensor,
    /// \[B\] bool, which images were classified as their label says; for soft labels, as its largest class.
    pub right: Tensor,
    /// The gradients, in the order of [`Parameters::trainable`]; undefined for frozen parameters, as libtorch returns
    /// for a tensor without a gradient.
    pub gradients: Vec<Tensor>,
    /// The running statistics of the network after this batch.
    pub buffers: Vec<Tensor>,
}

/// The result of the forward pass of a part of a batch.
#[derive(Debug)]
pub struct Pass {
    /// \[\], the loss summed over the images of the part, with its graph.
    pub loss: Tensor,
    /// \[B\] bool, which images were classified correctly.
    pub right: Tensor,
    /// The running statistics of the network after this part.
    pub buffers: Vec<Tensor>,
}

impl Pass {
    /// Passes a part of a batch through the network in training mode; `loss` returns the loss summed over the images,
    /// from the network's output and the batch.
    pub fn through(
        network: &Network,
        parameters: &Parameters,
        batch: &Batch,
        loss: impl FnOnce(&Output, &Batch) -> Result<Tensor, TchError>,
    ) -> Result<Pass, TchError> {
        let output = network.forward_with_dropout(parameters, &batch.images, Mode::Train, &batch.dropout)?;
        let loss = loss(&output, batch)?;
        Ok(Pass { loss, right: right(&output.logits.detach(), &batch.labels)?, buffers: output.buffers })
    }
}

/// The gradient of a loss averaged over a batch. `pass` is called with the parameters as leaves of a graph and a part
/// of the batch, on any thread; a network with batch statistics gets the whole batch at once. `parameters` may hold further
/// tensors after those of the network, which are trained too. Gradients of parameters on which the loss does not depend are
/// undefined.
pub fn batch_gradient(
    pass: impl Fn(&Parameters, &Batch) -> Result<Pass, TchError> + Sync,
    network: &Network,
    parameters: &Parameters,
    batch: &Batch,
    chunk: Chunk,
) -> Result<Gradient, TchError> {
    if network.has_batch_statistics() {
        return whole_batch_gradient(pass, network, parameters, batch);
    }
    gradient_in_parts(pass, network, parameters, batch, &network.pieces(&batch.images, chunk))
}

/// [`batch_gradient`] of a loss that compares the images of a batch with each other: `pass` gets all of them at once.
pub fn whole_batch_gradient(
    pass: impl Fn(&Parameters, &Batch) -> Result<Pass, TchError> + Sync,
    network: &Network,
    parameters: &Parameters,
    batch: &Batch,
) -> Result<Gradient, TchError> {
    gradient_in_parts(pass, network, parameters, batch, &[batch.len()])
}

fn gradient_in_parts(
    pass: impl Fn(&Parameters, &Batch) -> Result<Pass, TchError> + Sync,
    network: &Network,
    parameters: &Parameters,
    batch: &Batch,
    sizes: &[i64],
) -> Result<Gradient, TchError> {
    let count = batch.len();
    let leaves = Shared::new(network.tracked(parameters));
    let gradient = |part: Batch| {
        let trained: Vec<&Tensor> = leaves.trainable.iter().filter(|leaf| leaf.requires_grad()).collect();
        let Pass { loss, right, buffers } = pass(&leaves, &part)?;
        let loss = loss.f_div_scalar(count)?;
        let mut gradients = Tensor::f_run_backward(&[&loss], &trained, false, false)?.into_iter();
        let gradient = |leaf: &Tensor| leaf.requires_grad().then(|| gradients.next()).flatten();
        let gradients: Vec<Tensor> = leaves.trainable.iter().map(gradient).map(Option::unwrap_or_default).collect();
        Ok(Gradient { loss: loss.detach(), right, gradients, buffers })
    };
    let total = pieces::fold(batch.images.device(), Graph::Kept, batch.split(sizes)?, gradient, Gradient::and)?;
    total.ok_or_else(|| TchError::Torch("a batch without images has no gradient".into()))
}

impl Gradient {
    /// The sum of two parts of a batch, of which `next` has the later images.
    fn and(mut self, next: Gradient) -> Result<Gradient, TchError> {
        tch::no_grad(|| {
            for (sum, gradient) in self.gradients.iter_mut().zip(&next.gradients).filter(|(sum, _)| sum.defined()) {
                *sum = sum.f_add(gradient)?;
            }
            self.loss = self.loss.f_add(&next.loss)?;
            self.right = Tensor::f_cat(&[&self.right, &next.right], 0)?;
            Ok(self)
        })
    }
}

/// [`batch_gradient`] of the cross entropy with classes \[B\] int64 or probabilities \[B,K\].
pub fn cross_entropy_gradient(
    network: &Network,
    parameters: &Parameters,
    batch: &Batch,
    chunk: Chunk,
) -> Result<Gradient, TchError> {
    let loss = |output: &Output, part: &Batch| {
        output.logits.f_cross_entropy_loss(&part.labels, None::<&Tensor>, Reduction::Sum, -100, 0.0)
    };
    batch_gradient(|leaves, part| Pass::through(network, leaves, part, loss), network, parameters, batch, chunk)
}

/// \[B\] bool, which images with these logits \[B,K\] are classified as their label says; for soft labels \[B,K\], as
/// its largest class.
pub fn right(logits_BK: &Tensor, labels: &Tensor) -> Result<Tensor, TchError> {
    let wanted = if labels.dim() == 2 { labels.f_argmax(1, false)? } else { labels.shallow_clone() };
    logits_BK.f_argmax(1, false)?.f_eq_tensor(&wanted)
}
