//! Distribution matching: the loss and its gradient with respect to the synthetic images (Zhao & Bilen, Dataset
//! Condensation with Distribution Matching, 2023). Pure: network, weights, images and draws come in, numbers go out.
//!
//! Legend: K classes, N real images, M synthetic images, D embedding, C channels, H height, W width.

use crate::distill::feature_matching::{gradient_by_classes, together};
use crate::distill::synthesis::{ClassAugmentation, ClassImages};
use ddpipe_nn::network::{Chunk, Mode, Network, Parameters};
use ddpipe_nn::pieces::Shared;
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
    images.means(&network.embed_chunked(parameters, &images.images, Mode::Train, chunk)?)
}

/// Compares synthetic images, each class under its augmentation, with the mean embeddings of real ones; a few classes at
/// a time, as [`gradient_by_classes`] says.
pub fn match_embeddings(
    network: &Network,
    parameters: &Parameters,
    mean_real_KD: &Tensor,
    synthetic: &ClassImages,
    augmentation: &ClassAugmentation,
    chunk: Chunk,
) -> Result<Matched, TchError> {
    let Chunk(size) = together(network, chunk);
    let (parameters, mean_real_KD) = (Shared::new(parameters), Shared::new(mean_real_KD));
    let (gradient_MCHW, found) = gradient_by_classes(network, synthetic, augmentation, chunk, |classes, images| {
        let parts = images.images.f_split(size, 0)?;
        let embeddings: Result<Vec<_>, _> =
            parts.iter().map(|part| network.embed(&parameters, part, Mode::Train)).collect();
        let mean = images.means(&Tensor::f_cat(&embeddings?, 0)?)?;
        let real = mean_real_KD.f_narrow(0, classes.start as i64, classes.len() as i64)?;
        let discrepancy = class_discrepancy(&real, &mean);
        Ok((discrepancy.f_sum(discrepancy.kind())?, (discrepancy.detach(), mean.detach())))
    })?;
    let (per_class, means): (Vec<_>, Vec<_>) = found.into_iter().unzip();
    Ok(Matched { per_class_K: Tensor::f_cat(&per_class, 0)?, mean_KD: Tensor::f_cat(&means, 0)?, gradient_MCHW })
}
