//! Distribution matching: the loss and its gradient with respect to the synthetic images (Zhao & Bilen, Dataset
//! Condensation with Distribution Matching, 2023). Pure: network, weights, images and draws come in, numbers go out.
//!
//! Legend: K classes, N real images, M synthetic images, D embedding, C channels, H height, W width.

use crate::distill::feature_matching::{class_means, gradient_through_means};
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

/// The mean embedding of every class, \[K,D\], without a graph. Images go through the network in training mode, as
/// [`class_means`] says.
pub fn mean_embeddings(
    network: &Network,
    parameters: &Parameters,
    images: &ClassImages,
    chunk: Chunk,
) -> Result<Tensor, TchError> {
    let parameters = Shared::new(parameters);
    only(class_means(network, images, chunk, |part| embedding(network, &parameters, part))?)
}

/// Compares synthetic images, each class under its augmentation, with the mean embeddings of real ones, as
/// [`gradient_through_means`] says.
pub fn match_embeddings(
    network: &Network,
    parameters: &Parameters,
    mean_real_KD: &Tensor,
    synthetic: &ClassImages,
    augmentation: &ClassAugmentation,
    chunk: Chunk,
) -> Result<Matched, TchError> {
    let parameters = Shared::new(parameters);
    let seen = |part: &Tensor| embedding(network, &parameters, part);
    let loss = |means: &[Tensor]| {
        let discrepancy = means.iter().map(|mean| class_discrepancy(mean_real_KD, mean)).collect();
        let discrepancy_K = only(discrepancy)?;
        Ok((discrepancy_K.f_sum(discrepancy_K.kind())?, discrepancy_K.detach()))
    };
    let followed = gradient_through_means(network, synthetic, augmentation, chunk, seen, loss)?;
    let (per_class_K, gradient_MCHW) = (followed.loss, followed.gradient_MCHW);
    Ok(Matched { per_class_K, mean_KD: only(followed.means)?, gradient_MCHW })
}

/// What DM sees of images \[B,C,H,W\]: their embedding \[B,D\], in the precision of the images.
fn embedding(network: &Network, parameters: &Parameters, images: &Tensor) -> Result<Vec<Tensor>, TchError> {
    Ok(vec![network.embed(parameters, images, Mode::Train)?.f_to_kind(images.kind())?])
}

fn only(mut tensors: Vec<Tensor>) -> Result<Tensor, TchError> {
    tensors.pop().ok_or_else(|| TchError::Torch("there are no images to embed".into()))
}
