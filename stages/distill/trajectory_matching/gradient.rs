//! The gradient of the loss of trajectory matching, in three forms, all of them backwards from step to step: with the graphs
//! of all inner steps held (unrolled); the same numbers with the graph of one step at a time (recomputed); and TESLA's (Cui et al.,
//! Scaling Up Dataset Distillation to ImageNet-1K with Constant Memory, 2023), which neglects that a batch changes the
//! parameters at which later batches are evaluated.
//!
//! Backwards: v = d loss / d θ_N = 2 (θ_N - target) / |start - target|² and g_k is the gradient of the inner loss at
//! θ_k. For k = N-1 … 0, the step θ_{k+1} = θ_k - lr g_k adds -lr d<v,g_k>/dx to the gradient of the batch's images
//! (and labels) and -<v,g_k> to that of lr, and v becomes v - lr d<v,g_k>/dθ_k. TESLA keeps v unchanged. Where the loss
//! is over selected parameters, v is zero in the others; the selection is treated as constant.

use super::{Gradients, Learnt, Matched, Selection, Unrolling};
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use tch::{TchError, Tensor};

/// How the gradient of the loss is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GradientForm {
    /// The graphs of all inner steps are in memory at once.
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
        self.backwards(selection, learnt, form)
    }

    fn backwards(&self, selection: &Selection, learnt: &Learnt, form: GradientForm) -> Result<Matched> {
        let (unrolled, exact) = (form == GradientForm::Unrolled, form != GradientForm::Tesla);
        // Graphs that do not fit are made twice, by the same operations: the bytes do not depend on memory.
        let held = unrolled && self.fits();
        let mut thetas = vec![self.start_P.f_detach()?];
        let mut losses = Vec::with_capacity(self.steps.len());
        let mut graphs = Vec::new();
        let steps = self.planned(learnt);
        for step in &steps {
            let theta = &thetas[thetas.len() - 1];
            let taken = self.step(theta, learnt, step, unrolled)?;
            thetas.push(theta.f_sub(&taken.gradient_P.f_mul(&learnt.lr)?)?);
            losses.push(taken.loss.shallow_clone());
            graphs.push(held.then_some(taken));
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
        for (number, (step, taken)) in steps.iter().zip(graphs).enumerate().rev() {
            let taken = match taken {
                Some(taken) => taken,
                None => self.step(&thetas[number], learnt, step, true)?,
            };
            let pulled = taken.pulled(&pull, exact && number > 0)?;
            lr = lr.f_sub(&pulled.along)?;
            images = images.f_index_add(0, &step.step.positions, &scaled(&pulled.images_BCHW, &learnt.lr)?)?;
            if let (Some(found), Some(sum)) = (&pulled.logits_BK, &mut logits) {
                *sum = sum.f_index_add(0, &step.step.positions, &scaled(found, &learnt.lr)?)?;
            }
            if let Some(theta_P) = &pulled.theta_P {
                pull = pull.f_add(&scaled(theta_P, &learnt.lr)?)?;
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
