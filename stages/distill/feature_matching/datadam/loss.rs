//! DataDAM: spatial attention matching and its mean-embedding term, with the gradient with respect to the synthetic
//! images (Sajedi et al., DataDAM: Efficient Dataset Distillation with Attention Matching, 2023). Pure.
//!
//! Legend: K classes, B batch, M synthetic images, D embedding, C channels, H height, W width, L matched layers.

#![expect(non_snake_case, reason = "tensors carry their shape in their names")]

use crate::distill::feature_matching::means::{self, gradient_through_means};
use crate::distill::synthesis::{ClassAugmentation, ClassImages};
use ddpipe_nn::loss::{AttentionNorm, attention};
use ddpipe_nn::network::{Chunk, Mode, Network, Parameters};
use ddpipe_nn::pieces::Shared;
use serde::Deserialize;
use tch::{TchError, Tensor};

/// The factor of both terms in the authors' code.
const SCALE: f64 = 100.0;

/// What the loss leaves open: parameters of the stage.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Settings {
    /// Exponent of the features in an attention map.
    pub exponent: f64,
    /// Normalisation of the maps.
    pub normalisation: AttentionNorm,
    /// Weight of the mean-embedding term, lambda in the paper.
    pub task_balance: f64,
}

/// What a class's images look like to a network, on average.
#[derive(Debug)]
pub struct ClassMeans {
    /// Of each matched layer, \[K,H*W\].
    pub attention: Vec<Tensor>,
    /// \[K,D\].
    pub embedding_KD: Tensor,
}

/// What one comparison gives.
#[derive(Debug)]
pub struct Matched {
    /// \[L\], the attention term of each layer, summed over classes.
    pub attention_L: Tensor,
    /// The mean-embedding term, summed over classes: a scalar.
    pub embedding: Tensor,
    /// The means of the synthetic images.
    pub means: ClassMeans,
    /// \[M,C,H,W\], the gradient of the sum of all terms.
    pub gradient_MCHW: Tensor,
}

impl ClassMeans {
    /// From the means in the order of [`seen`].
    fn of(mut means: Vec<Tensor>) -> Result<Self, TchError> {
        let embedding_KD = means.pop().ok_or_else(|| TchError::Torch("there are no images to compare".into()))?;
        Ok(ClassMeans { attention: means, embedding_KD })
    }
}

impl Matched {
    /// The whole loss, a scalar.
    pub fn loss(&self) -> Tensor {
        self.attention_L.sum(self.attention_L.kind()) + &self.embedding
    }
}

/// 100 times the squared distance, summed over classes and positions.
fn squared_distance(real: &Tensor, synthetic: &Tensor) -> Result<Tensor, TchError> {
    real.f_sub(synthetic)?.f_square()?.f_sum(real.kind())?.f_mul_scalar(SCALE)
}

/// Attention and embedding terms of some classes: \[L\] and a scalar. Nothing is divided by layers or classes.
fn terms(real: &ClassMeans, synthetic: &ClassMeans, settings: Settings) -> Result<(Tensor, Tensor), TchError> {
    let layers: Result<Vec<_>, _> = real
        .attention
        .iter()
        .zip(&synthetic.attention)
        .map(|(real, synthetic)| squared_distance(real, synthetic))
        .collect();
    let embedding = squared_distance(&real.embedding_KD, &synthetic.embedding_KD)?;
    let layers = layers?;
    let layers = match layers.is_empty() {
        true => Tensor::f_zeros([0], (embedding.kind(), embedding.device()))?,
        false => Tensor::f_stack(&layers, 0)?,
    };
    Ok((layers, embedding.f_mul_scalar(settings.task_balance)?))
}

/// The means of images \[B,C,H,W\] by class, without a graph. They go through the network in training mode, as
/// [`means::class_means`] says. The last layer of activations is left out: the embedding stands for it.
pub fn class_means(
    network: &Network,
    parameters: &Parameters,
    images: &ClassImages,
    settings: Settings,
    chunk: Chunk,
) -> Result<ClassMeans, TchError> {
    let parameters = Shared::new(parameters);
    ClassMeans::of(means::class_means(network, images, chunk, |part| seen(network, &parameters, part, settings))?)
}

/// Compares synthetic images, each class under its augmentation, with the means of real ones, as
/// [`gradient_through_means`] says.
pub fn match_means(
    network: &Network,
    parameters: &Parameters,
    real: &ClassMeans,
    synthetic: &ClassImages,
    augmentation: &ClassAugmentation,
    settings: Settings,
    chunk: Chunk,
) -> Result<Matched, TchError> {
    let parameters = Shared::new(parameters);
    let seen = |part: &Tensor| seen(network, &parameters, part, settings);
    let loss = |means: &[Tensor]| {
        let own = ClassMeans::of(means.iter().map(Tensor::shallow_clone).collect())?;
        let (attention_L, embedding) = terms(real, &own, settings)?;
        let sum = attention_L.f_sum(attention_L.kind())?.f_add(&embedding)?;
        Ok((sum, (attention_L.detach(), embedding.detach())))
    };
    let followed = gradient_through_means(network, synthetic, augmentation, chunk, seen, loss)?;
    let (attention_L, embedding) = followed.loss;
    let (means, gradient_MCHW) = (ClassMeans::of(followed.means)?, followed.gradient_MCHW);
    Ok(Matched { attention_L, embedding, means, gradient_MCHW })
}

/// What DataDAM sees of images \[B,C,H,W\], in their precision: the attention map \[B,H*W\] of each matched layer, and the
/// embedding \[B,D\].
fn seen(
    network: &Network,
    parameters: &Parameters,
    images: &Tensor,
    settings: Settings,
) -> Result<Vec<Tensor>, TchError> {
    let map = |layer: &Tensor| attention(&layer.f_to_kind(images.kind())?, settings.exponent, settings.normalisation);
    let (mut maps, embedding) = network.mapped(parameters, images, Mode::Train, map)?;
    maps.pop();
    maps.push(embedding.f_to_kind(images.kind())?);
    Ok(maps)
}
