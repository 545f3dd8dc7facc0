//! The direction of a step of the student: the gradient of its answers' loss and, with attention transfer, of its
//! layers'. The steps are the common training loop's.

use super::layers::Pair;
use super::loss::{self, Settings};
use super::taught::Taught;
use super::teacher::Teacher;
use crate::common::network::{Chunk, Mode, Network, Output, Parameters};
use crate::common::train::{Gradient, Pass, gradient_by, right};
use tch::{TchError, Tensor};

/// What a student learns by.
pub struct Teaching<'a> {
    /// Whom it learns from.
    pub teacher: &'a Teacher,
    /// What it learns from; takes the labels apart.
    pub taught: &'a Taught<'a>,
    /// Of the answers' loss.
    pub settings: Settings,
    /// How much the images of each class count in the labels' part of it, \[K\].
    pub weights: Option<&'a Tensor>,
    /// The layers whose attention is compared; none without attention transfer.
    pub pairs: &'a [Pair],
    /// The weight of the attention's loss.
    pub beta: f64,
}

impl Teaching<'_> {
    /// The gradient of the loss averaged over a batch: images \[B,C,H,W\], labels of [`Taught`]. At alpha = 0 and without
    /// attention it is that of [`crate::common::train::gradient`].
    pub fn gradient(
        &self,
        network: &Network,
        parameters: &Parameters,
        images: &Tensor,
        labels: &Tensor,
        chunk: Chunk,
    ) -> Result<Gradient, TchError> {
        let pass = |leaves: &Parameters, images: &Tensor, labels: &Tensor| {
            let (labels, answers) = self.taught.apart(labels)?;
            let (output, layers) = self.layers(network, leaves, images, Mode::Train)?;
            let loss = self.loss(&output.logits, &layers, images, &labels, answers)?;
            Ok(Pass { loss, right: right(&output.logits.detach(), &labels)?, buffers: output.buffers })
        };
        gradient_by(&pass, network, parameters, images, labels, chunk)
    }

    fn loss(
        &self,
        logits: &Tensor,
        layers: &[Tensor],
        images: &Tensor,
        labels: &Tensor,
        answers: Option<Tensor>,
    ) -> Result<Tensor, TchError> {
        let Teaching { teacher, ref settings, weights, pairs, beta, .. } = *self;
        if pairs.is_empty() {
            let answers = match answers {
                None if settings.alpha > 0.0 => Some(teacher.logits(images)?),
                answers => answers,
            };
            return loss::answers(logits, answers.as_ref(), labels, weights, settings);
        }
        let (shown, theirs) = tch::no_grad(|| self.layers(&teacher.network, &teacher.parameters, images, Mode::Eval))?;
        let mut sum = loss::answers(logits, Some(&shown.logits), labels, weights, settings)?;
        for pair in pairs {
            let transfer = loss::attention_transfer(&layers[pair.student], &theirs[pair.teacher])?;
            sum = sum.f_add(&transfer.f_mul_scalar(beta)?)?;
        }
        Ok(sum)
    }

    /// A network's answers, and the outputs of its hidden layers where they are compared.
    fn layers(
        &self,
        network: &Network,
        parameters: &Parameters,
        images: &Tensor,
        mode: Mode,
    ) -> Result<(Output, Vec<Tensor>), TchError> {
        if self.pairs.is_empty() {
            return Ok((network.forward(parameters, images, mode)?, Vec::new()));
        }
        let hidden = network.hidden(parameters, images, mode, usize::MAX)?;
        let embedding = hidden.layers.last().map(Tensor::shallow_clone);
        let embedding = embedding.ok_or_else(|| TchError::Torch("a network without layers".into()))?;
        let logits = network.classify(parameters, &embedding)?;
        Ok((Output { logits, embedding, buffers: hidden.buffers }, hidden.layers))
    }
}
