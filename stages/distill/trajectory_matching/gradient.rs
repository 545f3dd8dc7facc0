//! The gradient of the loss of trajectory matching, in three forms: through the graph of all inner steps at once
//! (unrolled); the same numbers with the graph of one step at a time, backwards (recomputed); and TESLA's (Cui et al.,
//! Scaling Up Dataset Distillation to ImageNet-1K with Constant Memory, 2023), which neglects that a batch changes the
//! parameters at which later batches are evaluated.
//!
//! Backwards: v = d loss / d θ_N = 2 (θ_N - target) / |start - target|² and g_k is the gradient of the inner loss at
//! θ_k. For k = N-1 … 0, the step θ_{k+1} = θ_k - lr g_k adds -lr d<v,g_k>/dx to the gradient of the batch's images
//! (and labels) and -<v,g_k> to that of lr, and v becomes v - lr d<v,g_k>/dθ_k. TESLA keeps v unchanged. Where the loss
//! is over selected parameters, v is zero in the others; the selection is treated as constant.

use super::{Gradients, Labels, Learnt, Matched, Selection, Unrolling};
use anyhow::{Context as _, Result};
use ddpipe_nn::autograd::leaf;
use serde::{Deserialize, Serialize};
use tch::{TchError, Tensor};

/// How the gradient of the loss is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GradientForm {
    /// Through the graph of all inner steps, which is in memory at once.
    Unrolled,
    /// The same gradient with the graph of one step in memory; every step is computed twice.
    Recomputed,
    /// The graph of one step in memory; later parameters are treated as independent of earlier batches.
    Tesla,
}

impl Unrolling<'_> {
    /// Takes the inner steps, and returns loss and gradients over all parameters.
    pub fn matched(&self, learnt: &Learnt, form: GradientForm) -> Result<Matched> {
        self.matched_where(&Selection::ALL, learnt, form)
    }

    /// Takes the inner steps, and returns loss and gradients over the parameters that `selection` keeps.
    pub fn matched_where(&self, selection: &Selection, learnt: &Learnt, form: GradientForm) -> Result<Matched> {
        match form {
            GradientForm::Unrolled => self.unrolled(selection, learnt),
            GradientForm::Recomputed => self.backwards(selection, learnt, true),
            GradientForm::Tesla => self.backwards(selection, learnt, false),
        }
    }

    fn unrolled(&self, selection: &Selection, learnt: &Learnt) -> Result<Matched> {
        let images = leaf(&learnt.images_MCHW)?;
        let (labels, lr) = (learnt.labels.tracked()?, leaf(&learnt.lr)?);
        let mut theta = leaf(self.start_P)?;
        let mut losses = Vec::with_capacity(self.steps.len());
        for step in self.steps {
            let batch = images.f_index_select(0, &step.positions)?;
            let loss = self.inner_loss(&theta, &batch, &labels.at(&step.positions)?, step)?;
            let gradient = only(Tensor::f_run_backward(&[&loss], &[&theta], true, true)?)?;
            theta = theta.f_sub(&gradient.f_mul(&lr)?)?;
            losses.push(loss.detach());
        }
        let kept = selection.kept(&theta.detach(), self.target_P)?;
        let (param_loss, param_dist) = self.distances(&theta, kept.as_ref())?;
        let loss = param_loss.f_div(&param_dist)?;
        let leaves: Vec<&Tensor> = [&images, &lr].into_iter().chain(labels.logits()).collect();
        let mut gradients = Tensor::f_run_backward(&[&loss], &leaves, false, false)?.into_iter();
        let mut next = || gradients.next().context("a gradient is missing");
        let gradients =
            Gradients { images_MCHW: next()?, lr: next()?, logits_MK: labels.logits().map(|_| next()).transpose()? };
        Ok(Matched {
            loss: loss.detach(),
            param_loss: param_loss.detach(),
            param_dist,
            kept_P: kept,
            end_P: theta.detach(),
            inner_losses_N: Tensor::f_stack(&losses, 0)?,
            gradients,
        })
    }

    fn backwards(&self, selection: &Selection, learnt: &Learnt, exact: bool) -> Result<Matched> {
        let mut thetas = vec![self.start_P.f_detach()?];
        let mut losses = Vec::with_capacity(self.steps.len());
        for step in self.steps {
            let theta = leaf(&thetas[thetas.len() - 1])?;
            let batch = learnt.images_MCHW.f_index_select(0, &step.positions)?;
            let loss = self.inner_loss(&theta, &batch, &learnt.labels.at(&step.positions)?, step)?;
            let gradient = only(Tensor::f_run_backward(&[&loss], &[&theta], false, false)?)?;
            thetas.push(theta.f_detach()?.f_sub(&gradient.f_mul(&learnt.lr)?)?);
            losses.push(loss.detach());
        }
        let end = thetas.pop().context("a student without parameters")?;
        let kept = selection.kept(&end, self.target_P)?;
        let (param_loss, param_dist) = self.distances(&end, kept.as_ref())?;
        let mut pull = end.f_sub(self.target_P)?.f_mul_scalar(2.0)?.f_div(&param_dist)?;
        if let Some(kept) = &kept {
            pull = pull.f_mul(kept)?;
        }
        pull = pull.f_div_scalar(end.numel() as i64)?;

        let mut images = learnt.images_MCHW.f_zeros_like()?;
        let mut logits = learnt.labels.logits().map(Tensor::f_zeros_like).transpose()?;
        let mut lr = learnt.lr.f_zeros_like()?;
        for (number, step) in self.steps.iter().enumerate().rev() {
            let theta = leaf(&thetas[number])?;
            let batch = leaf(&learnt.images_MCHW.f_index_select(0, &step.positions)?)?;
            let labels = learnt.labels.at(&step.positions)?.tracked()?;
            let loss = self.inner_loss(&theta, &batch, &labels, step)?;
            let gradient = only(Tensor::f_run_backward(&[&loss], &[&theta], true, true)?)?;
            let along = gradient.f_dot(&pull)?;
            lr = lr.f_sub(&along.f_detach()?)?;
            let moves_on = exact && number > 0;
            let leaves: Vec<&Tensor> =
                std::iter::once(&batch).chain(labels.logits()).chain(moves_on.then_some(&theta)).collect();
            let mut found = Tensor::f_run_backward(&[&along], &leaves, false, false)?.into_iter();
            let mut next = || found.next().context("a gradient is missing");
            images = images.f_index_add(0, &step.positions, &scaled(&next()?, &learnt.lr)?)?;
            if let (Labels::Logits(_), Some(sum)) = (&labels, &mut logits) {
                *sum = sum.f_index_add(0, &step.positions, &scaled(&next()?, &learnt.lr)?)?;
            }
            if moves_on {
                pull = pull.f_add(&scaled(&next()?, &learnt.lr)?)?;
            }
        }
        Ok(Matched {
            loss: param_loss.f_div(&param_dist)?,
            param_loss,
            param_dist,
            kept_P: kept,
            end_P: end,
            inner_losses_N: Tensor::f_stack(&losses, 0)?,
            gradients: Gradients { images_MCHW: images, lr, logits_MK: logits },
        })
    }
}

/// The gradient times -lr, detached from its graph.
fn scaled(gradient: &Tensor, lr: &Tensor) -> Result<Tensor, TchError> {
    gradient.f_detach()?.f_mul(lr)?.f_neg()
}

fn only(gradients: Vec<Tensor>) -> Result<Tensor> {
    gradients.into_iter().next().context("a gradient is missing")
}
