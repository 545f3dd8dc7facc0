//! The losses of knowledge distillation, one function per equation, each summed over the images of a batch: who takes
//! a batch in parts divides by its size. They know tensors only.
//!
//! Shapes: B batch, C channels, H rows, W columns, D features, K classes.

use ddpipe_nn::loss::{AttentionNorm, attention};
use serde::{Deserialize, Serialize};
use tch::{Kind, Reduction, TchError, Tensor};

/// What the divergence of a batch is divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Average {
    /// The images.
    Batch,
    /// The images times the classes, which makes it that much smaller.
    Elements,
}

/// How hints are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HintForm {
    /// The mean of the squared differences.
    Mean,
    /// Half their sum over everything but the images.
    HalfSum,
}

/// The settings of the loss with the teacher's soft targets.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
pub struct Settings {
    /// T, above 0.
    pub temperature: f64,
    /// The share of the teacher's soft targets in the loss; the labels have the rest.
    pub alpha: f64,
    /// What the divergence is divided by.
    pub average: Average,
}

/// T² Σ_c p_t (log p_t - log p_s) with p = softmax(z / T) (Hinton, Vinyals and Dean 2015), summed over the images; with
/// [`Average::Elements`] divided by K.
pub fn divergence(student_BK: &Tensor, teacher_BK: &Tensor, settings: &Settings) -> Result<Tensor, TchError> {
    let log = |logits: &Tensor| logits.f_div_scalar(settings.temperature)?.f_log_softmax(1, None::<Kind>);
    let (student, teacher) = (log(student_BK)?, log(teacher_BK)?);
    let differences = teacher.f_exp()?.f_mul(&teacher.f_sub(&student)?)?;
    let classes = match settings.average {
        Average::Batch => 1.0,
        Average::Elements => student_BK.size()[1] as f64,
    };
    differences.f_sum(None::<Kind>)?.f_mul_scalar(settings.temperature * settings.temperature / classes)
}

/// The cross entropy with labels \[B\] int64 or probabilities \[B,K\], where wanted with a weight for each class, \[K\].
pub fn cross_entropy(student_BK: &Tensor, labels: &Tensor, weights: Option<&Tensor>) -> Result<Tensor, TchError> {
    student_BK.f_cross_entropy_loss(labels, weights, Reduction::Sum, -100, 0.0)
}

/// alpha · divergence + (1 - alpha) · cross entropy. A part without a share is not computed, so that alpha = 0 is plain
/// training to the last bit.
pub fn soft_targets(
    student_BK: &Tensor,
    teacher_BK: Option<&Tensor>,
    labels: &Tensor,
    weights: Option<&Tensor>,
    settings: &Settings,
) -> Result<Tensor, TchError> {
    let alpha = settings.alpha;
    match teacher_BK {
        Some(teacher) if alpha >= 1.0 => divergence(student_BK, teacher, settings)?.f_mul_scalar(alpha),
        Some(teacher) if alpha > 0.0 => {
            let soft = divergence(student_BK, teacher, settings)?.f_mul_scalar(alpha)?;
            soft.f_add(&cross_entropy(student_BK, labels, weights)?.f_mul_scalar(1.0 - alpha)?)
        }
        _ => cross_entropy(student_BK, labels, weights),
    }
}

/// The squared differences between what a student's layer was turned into and its teacher's layer, both \[B,...\]
/// (Romero et al., ICLR 2015, eq. 3): their mean over an image, or half their sum.
pub fn hint(turned: &Tensor, teacher: &Tensor, form: HintForm) -> Result<Tensor, TchError> {
    let squares = turned.f_sub(teacher)?.f_square()?.f_sum(None::<Kind>)?;
    let images = teacher.size()[0].max(1);
    match form {
        HintForm::Mean => squares.f_mul_scalar(images as f64 / teacher.numel().max(1) as f64),
        HintForm::HalfSum => squares.f_mul_scalar(0.5),
    }
}

/// The mean squared difference of two layers' attention (Zagoruyko and Komodakis, ICLR 2017, with p = 2): of their squares'
/// sum over the channels, \[B,H·W\] with rows of length 1. Summed over the images. Of maps of different sizes the larger are
/// averaged to the size of the smaller.
pub fn attention_transfer(student_BCHW: &Tensor, teacher_BCHW: &Tensor) -> Result<Tensor, TchError> {
    let (ours, theirs) = (student_BCHW.size(), teacher_BCHW.size());
    let (height, width) = (ours[2].min(theirs[2]), ours[3].min(theirs[3]));
    let fitted = |maps: &Tensor| match maps.size()[2..] == [height, width] {
        true => Ok(maps.shallow_clone()),
        false => maps.f_adaptive_avg_pool2d([height, width]),
    };
    let attention = |maps: &Tensor| attention(&fitted(maps)?, 2.0, AttentionNorm::L2);
    let (ours, theirs) = (attention(student_BCHW)?, attention(teacher_BCHW)?);
    ours.f_sub(&theirs)?.f_square()?.f_sum(None::<Kind>)?.f_div_scalar((height * width) as f64)
}
