//! What the student's training makes smaller: the loss with soft targets and, where layers are compared, that of the
//! comparison. The steps are the common training loop's.

use super::loss;
use crate::distill::knowledge::comparison::Comparison;
use crate::distill::knowledge::layers::Pair;
use crate::distill::knowledge::loss::Settings;
use crate::distill::knowledge::teacher::Teacher;
use crate::training::{Batch, Gradient, Pass, batch_gradient, right, whole_batch_gradient};
use ddpipe_nn::network::{Chunk, Mode, Network, Output, Parameters};
use ddpipe_nn::pieces::{Readable, Shared};
use tch::{TchError, Tensor};

/// What a student learns by.
pub struct DistillationLoss<'a> {
    /// The network whose logits are the soft targets.
    pub teacher: &'a Teacher,
    /// Settings of the loss with soft targets.
    pub settings: Settings,
    /// How much the images of each class count in the labels' part of it, \[K\].
    pub weights: Option<&'a Tensor>,
    /// The layers that are compared at every step; none without a comparison.
    pub pairs: &'a [Pair],
    /// What they are compared by.
    pub comparison: Option<&'a Comparison>,
    /// The weight of the comparison's loss.
    pub beta: f64,
}

// SAFETY: tensors, and plain values.
unsafe impl Readable for DistillationLoss<'_> {}

impl DistillationLoss<'_> {
    /// The gradient of the loss averaged over a batch. At alpha = 0 and without a comparison it is that of
    /// [`crate::training::Objective`]. Values that the comparison trains stand behind the network's in `parameters`.
    pub fn gradient(
        &self,
        network: &Network,
        parameters: &Parameters,
        batch: &Batch,
        chunk: Chunk,
    ) -> Result<Gradient, TchError> {
        let this = Shared::new(self);
        let own = network.trainable().count();
        let pass = |leaves: &Parameters, part: &Batch| {
            let (output, layers) = this.layers(network, leaves, &part.images, Mode::Train, &part.dropout)?;
            let beside = leaves.trainable.get(own..).unwrap_or_default();
            let loss = this.loss(&output.logits, &layers, beside, part)?;
            Ok(Pass { loss, right: right(&output.logits.detach(), &part.labels)?, buffers: output.buffers })
        };
        match self.comparison.is_some_and(Comparison::is_of_batch) {
            true => whole_batch_gradient(pass, network, parameters, batch),
            false => batch_gradient(pass, network, parameters, batch, chunk),
        }
    }

    /// The loss of a part of a batch, summed over its images; `batch.extra` has the teacher's logits where they are known.
    fn loss(&self, logits: &Tensor, layers: &[Tensor], beside: &[Tensor], batch: &Batch) -> Result<Tensor, TchError> {
        let DistillationLoss { teacher, ref settings, weights, pairs, comparison, beta } = *self;
        let Batch { images, labels, extra, .. } = batch;
        let Some(comparison) = comparison else {
            let teacher_logits = match extra {
                Some(logits) => Some(logits.shallow_clone()),
                None if settings.alpha > 0.0 => Some(teacher.logits(images)?),
                None => None,
            };
            return loss::soft_targets(logits, teacher_logits.as_ref(), labels, weights, settings);
        };
        let (shown, theirs) =
            tch::no_grad(|| self.layers(&teacher.network, &teacher.parameters, images, Mode::Eval, &[]))?;
        let mut sum = loss::soft_targets(logits, Some(&shown.logits), labels, weights, settings)?;
        for pair in pairs {
            let compared = comparison.loss(&layers[pair.student], &theirs[pair.teacher], beside)?;
            sum = sum.f_add(&compared.f_mul_scalar(beta)?)?;
        }
        Ok(sum)
    }

    /// A network's logits, and the outputs of its hidden layers where they are compared.
    fn layers(
        &self,
        network: &Network,
        parameters: &Parameters,
        images: &Tensor,
        mode: Mode,
        mut dropout: &[Tensor],
    ) -> Result<(Output, Vec<Tensor>), TchError> {
        if self.comparison.is_none() {
            return Ok((network.forward_with_dropout(parameters, images, mode, dropout)?, Vec::new()));
        }
        let hidden = network.hidden_with_dropout(parameters, images, mode, usize::MAX, &mut dropout)?;
        let embedding = hidden.layers.last().map(Tensor::shallow_clone);
        let embedding = embedding.ok_or_else(|| TchError::Torch("a network without layers".into()))?;
        let logits = match dropout.first() {
            Some(factors) => network.classify(parameters, &embedding.f_mul(factors)?)?,
            None => network.classify(parameters, &embedding)?,
        };
        Ok((Output { logits, embedding, buffers: hidden.buffers }, hidden.layers))
    }
}
