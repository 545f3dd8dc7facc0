//! Distribution matching: the loss and its gradient with respect to the synthetic images (Zhao & Bilen, Dataset
//! Condensation with Distribution Matching, 2023). Pure: network, weights, images and draws come in, numbers go out.
//!
//! Legend: K classes, N real images, M synthetic images, D embedding, C channels, H height, W width.

use crate::common::matching::{ClassAugmentation, ClassImages, class_groups};
use crate::common::network::{Chunk, Mode, Network, Parameters};
use tch::{TchError, Tensor};

/// What one comparison gives.
#[derive(Debug)]
pub struct Matched {
    /// \[K\], the discrepancy of each class.
    pub per_class_K: Tensor,
    /// \[K,D\], the mean embedding of the synthetic images of each class.
    pub mean_KD: Tensor,
    /// \[M,C,H,W\], the gradient of the sum over classes.
    pub gradient_MCHW: Tensor,
}

/// The squared distance of the mean embeddings, class by class: \[K\].
pub fn class_discrepancy(real_KD: &Tensor, synthetic_KD: &Tensor) -> Tensor {
    (real_KD - synthetic_KD).square().sum_dim_intlist(1, false, real_KD.kind())
}

/// The mean embedding of every class, \[K,D\], without a graph. Images go through the network in training mode, a
/// chunk at a time; all at once where batch statistics make them depend on each other.
pub fn mean_embeddings(
    network: &Network,
    parameters: &Parameters,
    images: &ClassImages,
    chunk: Chunk,
) -> Result<Tensor, TchError> {
    Ok(images.means(&network.embed_chunked(parameters, &images.images, Mode::Train, chunk)?))
}

/// Compares synthetic images, each class under its augmentation, with the mean embeddings of real ones. The sum over
/// classes falls apart, so a few classes at a time go forward and back, and only their graph is held; the result is the
/// same up to rounding. With batch statistics all classes go together.
pub fn match_embeddings(
    network: &Network,
    parameters: &Parameters,
    mean_real_KD: &Tensor,
    synthetic: &ClassImages,
    augmentation: &ClassAugmentation,
    chunk: Chunk,
) -> Result<Matched, TchError> {
    let chunk = if network.has_batch_statistics() { i64::MAX } else { chunk.0.max(1) };
    let (mut per_class, mut means, mut gradients) = (Vec::new(), Vec::new(), Vec::new());
    for group in class_groups(&synthetic.counts, chunk) {
        let leaves: Vec<_> = group
            .clone()
            .map(|class| synthetic.class(class).f_detach()?.f_set_requires_grad(true))
            .collect::<Result<_, _>>()?;
        let augmented: Vec<_> =
            group.clone().zip(&leaves).map(|(class, leaf)| augmentation.apply(class, leaf)).collect();
        let counts = synthetic.counts[group.clone()].to_vec();
        let images = ClassImages { images: Tensor::f_cat(&augmented, 0)?, counts };
        let parts = images.images.f_split(chunk, 0)?;
        let embeddings: Result<Vec<_>, _> =
            parts.iter().map(|part| network.embed(parameters, part, Mode::Train)).collect();
        let mean = images.means(&Tensor::f_cat(&embeddings?, 0)?);
        let real = mean_real_KD.f_narrow(0, group.start as i64, group.len() as i64)?;
        let discrepancy = class_discrepancy(&real, &mean);
        gradients.extend(Tensor::f_run_backward(&[discrepancy.f_sum(discrepancy.kind())?], &leaves, false, false)?);
        per_class.push(discrepancy.detach());
        means.push(mean.detach());
    }
    Ok(Matched {
        per_class_K: Tensor::f_cat(&per_class, 0)?,
        mean_KD: Tensor::f_cat(&means, 0)?,
        gradient_MCHW: Tensor::f_cat(&gradients, 0)?,
    })
}
