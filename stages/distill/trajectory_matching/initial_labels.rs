//! The first labels: what the experts that are right about an image say of it, on average.
//!
//! Legend: E experts, M images, K classes.

use tch::{Kind, TchError, Tensor};

/// Sums over experts, one after the other, so that the answers of one at a time are held.
#[derive(Debug)]
pub struct LabelSums {
    labels_M: Tensor,
    /// Sum of the logits of the experts that classify the image correctly.
    right_MK: Tensor,
    /// Number of experts that classify the image correctly, \[M\] int64.
    count_M: Tensor,
    /// Sum of the logits of all experts.
    all_MK: Tensor,
    experts: i64,
}

impl LabelSums {
    /// No expert yet; the images' classes are `labels_M` (int64).
    pub fn new(labels_M: &Tensor, classes: i64) -> Result<Self, TchError> {
        let zeros = Tensor::f_zeros([labels_M.size()[0], classes], (Kind::Float, labels_M.device()))?;
        Ok(LabelSums {
            labels_M: labels_M.shallow_clone(),
            right_MK: zeros.copy(),
            count_M: labels_M.f_zeros_like()?,
            all_MK: zeros,
            experts: 0,
        })
    }

    /// Adds the logits \[M,K\] of an expert.
    pub fn add(&mut self, logits_MK: &Tensor) -> Result<(), TchError> {
        let right_M = logits_MK.f_argmax(1, false)?.f_eq_tensor(&self.labels_M)?;
        let share_M1 = right_M.f_to_kind(Kind::Float)?.f_unsqueeze(1)?;
        self.right_MK = self.right_MK.f_add(&logits_MK.f_mul(&share_M1)?)?;
        self.count_M = self.count_M.f_add(&right_M.f_to_kind(Kind::Int64)?)?;
        self.all_MK = self.all_MK.f_add(logits_MK)?;
        self.experts += 1;
        Ok(())
    }

    /// \[M\] int64: how many experts are right about each image.
    pub fn right(&self) -> &Tensor {
        &self.count_M
    }

    /// \[M,K\], the first label logits: the mean of the experts that are right. Where none is, the mean of all with the
    /// values of the image's class and of the class that they take it for exchanged: as sure as they are, of what it is.
    pub fn logits(&self) -> Result<Tensor, TchError> {
        let none_M1 = self.count_M.f_eq(0)?.f_unsqueeze(1)?;
        let count_M1 = self.count_M.f_clamp_min(1)?.f_to_kind(Kind::Float)?.f_unsqueeze(1)?;
        let mean_MK = self.right_MK.f_div(&count_M1)?;
        let all_MK = self.all_MK.f_div_scalar(self.experts.max(1))?;
        let (own_M1, taken_M1) = (self.labels_M.f_unsqueeze(1)?, all_MK.f_argmax(1, true)?);
        let (own, taken) = (all_MK.f_gather(1, &own_M1, false)?, all_MK.f_gather(1, &taken_M1, false)?);
        let exchanged_MK = all_MK.f_scatter(1, &taken_M1, &own)?.f_scatter(1, &own_M1, &taken)?;
        exchanged_MK.f_where_self(&none_M1, &mean_MK)
    }
}
