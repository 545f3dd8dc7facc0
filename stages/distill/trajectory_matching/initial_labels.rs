//! The first labels: the mean logits, for each image, of the experts that classify it correctly.
//!
//! Legend: E experts, M images, K classes.

use tch::{Kind, TchError, Tensor};

/// Sums of logits over experts. The experts are added one by one, so that the logits of only one are in memory.
#[derive(Debug)]
pub struct LabelSums {
    labels_M: Tensor,
    /// \[M,K\], sum of the logits of the experts that classify the image correctly.
    right_MK: Tensor,
    /// \[M\] int64, number of experts that classify the image correctly.
    count_M: Tensor,
    /// \[M,K\], sum of the logits of all experts.
    all_MK: Tensor,
    experts: i64,
}

impl LabelSums {
    /// Sums without any expert; `labels_M` (int64) are the classes of the images.
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

    /// \[M\] int64, the number of experts that classify each image correctly.
    pub fn right(&self) -> &Tensor {
        &self.count_M
    }

    /// \[M,K\], the first label logits: the mean over the experts that classify the image correctly. Where there is
    /// none, the mean over all experts, with the values of the image's class and of the predicted class exchanged, so
    /// that the largest logit is that of the image's class.
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
