//! The gradient of trajectory matching, in three forms: through the graph of all inner steps at once; the same numbers
//! from one step's graph at a time, backwards; and TESLA's (Cui et al., Scaling Up Dataset Distillation to ImageNet-1K
//! with Constant Memory, 2023), which leaves out that a batch moves the parameters which later batches see.
//!
//! Backwards: with v = d loss / d θ_N = 2 (θ_N - target) / |start - target|², for k = N-1 … 0 and g_k the gradient of
//! the inner loss at θ_k, the step θ_{k+1} = θ_k - lr g_k adds -lr d<v,g_k>/dx to the gradient of the batch's images
//! (and labels), -<v,g_k> to that of lr, and v becomes v - lr d<v,g_k>/dθ_k. TESLA keeps v as it was. Where only some
//! parameters count, v is zero in the others; which ones count is taken as constant.

use super::{Gradients, Labels, Learnt, Matched, Selection, Unrolling};
use anyhow::{Context as _, Result};
use ddpipe_nn::autograd::leaf;
use serde::{Deserialize, Serialize};
use tch::{TchError, Tensor};

/// How the gradient is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GradientForm {
    /// Through the graph of all steps.
    Unrolled,
    /// The same numbers with one step's graph at a time: every step is computed twice.
    Recomputed,
    /// One step's graph at a time, and later parameters taken as if they did not depend on earlier batches.
    Tesla,
}

impl Unrolling<'_> {
    /// Takes the inner steps and gives loss and gradients.
    pub fn matched(&self, learnt: &Learnt, form: GradientForm) -> Result<Matched> {
        self.matched_where(&Selection::ALL, learnt, form)
    }

    /// The same with a loss over selected parameters.
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

/// -lr times a gradient, without a graph.
fn scaled(gradient: &Tensor, lr: &Tensor) -> Result<Tensor, TchError> {
    gradient.f_detach()?.f_mul(lr)?.f_neg()
}

fn only(gradients: Vec<Tensor>) -> Result<Tensor> {
    gradients.into_iter().next().context("a gradient is missing")
}
