//! Loss and gradient of one batch, in chunks where that is faster and changes nothing but rounding.

use crate::common::network::{Chunk, Mode, Network, Output, Parameters};
use tch::{Reduction, TchError, Tensor};

/// What one batch says about the parameters.
#[derive(Debug)]
pub struct Gradient {
    /// Mean cross entropy over the batch, without a graph.
    pub loss: Tensor,
    /// Which images were classified as their label (for soft labels: its largest class) says, \[B\] bool.
    pub right: Tensor,
    /// In the order of [`Parameters::trainable`]; undefined for parameters that are frozen, as libtorch has it for what
    /// has no gradient.
    pub gradients: Vec<Tensor>,
    /// The running statistics after this batch.
    pub buffers: Vec<Tensor>,
}

/// The loss of some images of a batch, summed over them: of what the network put out for the images \[B,C,H,W\], and of
/// their labels, in whatever form the examples give.
pub type Loss<'a> = &'a dyn Fn(&Output, &Tensor, &Tensor) -> Result<Tensor, TchError>;

/// What a pass of some images of a batch through a network gave.
#[derive(Debug)]
pub struct Pass {
    /// Summed over them.
    pub loss: Tensor,
    /// Which were classified rightly, \[B\] bool.
    pub right: Tensor,
    /// The running statistics afterwards.
    pub buffers: Vec<Tensor>,
}

/// Passes images \[B,C,H,W\] with their labels, in whatever form the examples give, through a network with these values.
pub type Passing<'a> = &'a dyn Fn(&Parameters, &Tensor, &Tensor) -> Result<Pass, TchError>;

/// The gradient of the mean cross entropy of a batch: images \[B,C,H,W\], labels \[B\] int64 or probabilities \[B,K\].
/// The network is in training mode. A network with batch statistics sees the whole batch at once.
pub fn gradient(
    network: &Network,
    parameters: &Parameters,
    images: &Tensor,
    labels: &Tensor,
    chunk: Chunk,
) -> Result<Gradient, TchError> {
    let cross_entropy = |output: &Output, _: &Tensor, labels: &Tensor| {
        output.logits.f_cross_entropy_loss(labels, None::<&Tensor>, Reduction::Sum, -100, 0.0)
    };
    gradient_of(&cross_entropy, network, parameters, images, labels, chunk)
}

/// [`gradient`] of another loss than cross entropy, averaged over the batch.
pub fn gradient_of(
    loss: Loss,
    network: &Network,
    parameters: &Parameters,
    images: &Tensor,
    labels: &Tensor,
    chunk: Chunk,
) -> Result<Gradient, TchError> {
    let pass = |leaves: &Parameters, images: &Tensor, labels: &Tensor| {
        let output = network.forward(leaves, images, Mode::Train)?;
        let loss = loss(&output, images, labels)?;
        Ok(Pass { loss, right: right(&output.logits.detach(), labels)?, buffers: output.buffers })
    };
    gradient_by(&pass, network, parameters, images, labels, chunk)
}

/// [`gradient_of`] whatever a pass computes. Parameters may stand behind the network's own; they are trained with them.
/// Gradients of parameters that the loss does not depend on are undefined.
pub fn gradient_by(
    pass: Passing,
    network: &Network,
    parameters: &Parameters,
    images: &Tensor,
    labels: &Tensor,
    chunk: Chunk,
) -> Result<Gradient, TchError> {
    let count = images.size()[0];
    let size = if network.has_batch_statistics() { count } else { chunk.0.clamp(1, count.max(1)) };
    let leaves = network.tracked(parameters);
    let trained: Vec<&Tensor> = leaves.trainable.iter().filter(|leaf| leaf.requires_grad()).collect();
    let mut total: Option<Gradient> = None;
    for (images, labels) in images.f_split(size, 0)?.iter().zip(labels.f_split(size, 0)?) {
        let Pass { loss, right, buffers } = pass(&leaves, images, &labels)?;
        let loss = loss.f_div_scalar(count)?;
        let mut gradients = Tensor::f_run_backward(&[&loss], &trained, false, false)?.into_iter();
        let gradient = |leaf: &Tensor| leaf.requires_grad().then(|| gradients.next()).flatten();
        let gradients: Vec<Tensor> = leaves.trainable.iter().map(gradient).map(Option::unwrap_or_default).collect();
        total = Some(match total {
            None => Gradient { loss: loss.detach(), right, gradients, buffers },
            Some(mut sum) => {
                for (sum, gradient) in sum.gradients.iter_mut().zip(&gradients).filter(|(sum, _)| sum.defined()) {
                    *sum = sum.f_add(gradient)?;
                }
                sum.loss = sum.loss.f_add(&loss.detach())?;
                sum.right = Tensor::f_cat(&[&sum.right, &right], 0)?;
                sum
            }
        });
    }
    total.ok_or_else(|| TchError::Torch("a batch without images has no gradient".into()))
}

/// Which images were classified as their label (for soft labels: its largest class) says, \[B\] bool.
pub fn right(logits_BK: &Tensor, labels: &Tensor) -> Result<Tensor, TchError> {
    let wanted = if labels.dim() == 2 { labels.f_argmax(1, false)? } else { labels.shallow_clone() };
    logits_BK.f_argmax(1, false)?.f_eq_tensor(&wanted)
}
