//! Cross entropy of classes, probabilities or logits.

use tch::{TchError, Tensor};

/// -sum over classes of softmax(target) * log softmax(logits), averaged over the batch; both \[B,K\].
pub fn soft_cross_entropy(logits_BK: &Tensor, target_logits_BK: &Tensor) -> Result<Tensor, TchError> {
    let kind = logits_BK.kind();
    let (log_BK, target_BK) = (logits_BK.f_log_softmax(1, kind)?, target_logits_BK.f_softmax(1, kind)?);
    log_BK.f_mul(&target_BK)?.f_sum(kind)?.f_div_scalar(-logits_BK.size()[0])
}
