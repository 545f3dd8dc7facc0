//! DataDAM: spatial attention matching and its mean-embedding term, with the gradient with respect to the synthetic
//! images (Sajedi et al., DataDAM: Efficient Dataset Distillation with Attention Matching, 2023). Pure.
//!
//! Legend: K classes, B batch, M synthetic images, D embedding, C channels, H height, W width, L matched layers.

#![expect(non_snake_case, reason = "tensors carry their shape in their names")]

use crate::distill::feature_matching::datadam::attention::{Normalisation, attention};
use crate::distill::feature_matching::gradient_by_classes;
use crate::distill::synthesis::{ClassAugmentation, ClassImages};
use ddpipe_nn::network::{Chunk, Mode, Network, Parameters};
use ddpipe_nn::pieces::{self, Graph, Readable, Shared};
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
    pub normalisation: Normalisation,
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

// SAFETY: it holds tensors only.
unsafe impl Readable for ClassMeans {}

impl ClassMeans {
    fn detached(&self) -> Self {
        let attention = self.attention.iter().map(Tensor::detach).collect();
        ClassMeans { attention, embedding_KD: self.embedding_KD.detach() }
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

/// The means of images \[B,C,H,W\] by class. They go through the network in training mode, a chunk at a time; all at
/// once where batch statistics make them depend on each other; with a graph only if it is asked for. The last layer of activations is left out: the
/// embedding stands for it.
pub fn class_means(
    network: &Network,
    parameters: &Parameters,
    images: &ClassImages,
    settings: Settings,
    chunk: Chunk,
    graph: Graph,
) -> Result<ClassMeans, TchError> {
    let parts = match network.has_batch_statistics() {
        true => vec![images.images.shallow_clone()],
        false => images.images.f_split_with_sizes(network.pieces(&images.images, chunk), 0)?,
    };
    let parameters = Shared::new(parameters);
    let seen = |part: Tensor| {
        let features = network.features(&parameters, &part, Mode::Train)?;
        let matched = features.activations.split_last().map_or(&[][..], |(_, matched)| matched);
        // In the precision of the images, whatever the pass has.
        let map = |layer: &Tensor| attention(&layer.f_to_kind(part.kind())?, settings.exponent, settings.normalisation);
        let maps = matched.iter().map(map).collect::<Result<_, TchError>>()?;
        Ok::<_, TchError>((maps, features.embedding.f_to_kind(part.kind())?))
    };
    let found: Vec<(Vec<Tensor>, Tensor)> = pieces::map(images.images.device(), graph, parts, seen)?;
    let (seen, embeddings): (Vec<Vec<Tensor>>, Vec<Tensor>) = found.into_iter().unzip();
    let mut maps: Vec<Vec<Tensor>> = Vec::new();
    for part in seen {
        maps.resize_with(part.len(), Vec::new);
        maps.iter_mut().zip(part).for_each(|(maps, map)| maps.push(map));
    }
    let mean = |parts: &Vec<Tensor>| images.means(&Tensor::f_cat(parts, 0)?);
    Ok(ClassMeans {
        attention: maps.iter().map(mean).collect::<Result<_, TchError>>()?,
        embedding_KD: mean(&embeddings)?,
    })
}

/// Compares synthetic images, each class under its augmentation, with the means of real ones; a few classes at a time, as
/// [`gradient_by_classes`] says.
pub fn match_means(
    network: &Network,
    parameters: &Parameters,
    real: &ClassMeans,
    synthetic: &ClassImages,
    augmentation: &ClassAugmentation,
    settings: Settings,
    chunk: Chunk,
) -> Result<Matched, TchError> {
    let (parameters, all) = (Shared::new(parameters), Shared::new(real));
    let (gradient_MCHW, found) = gradient_by_classes(network, synthetic, augmentation, chunk, |classes, images| {
        let (real, own) = (&*all, class_means(network, &parameters, images, settings, chunk, Graph::Kept)?);
        let narrow = |mean: &Tensor| mean.f_narrow(0, classes.start as i64, classes.len() as i64);
        let real = ClassMeans {
            attention: real.attention.iter().map(narrow).collect::<Result<_, _>>()?,
            embedding_KD: narrow(&real.embedding_KD)?,
        };
        let (attention_L, embedding) = terms(&real, &own, settings)?;
        let loss = attention_L.f_sum(attention_L.kind())?.f_add(&embedding)?;
        Ok((loss, (attention_L.detach(), embedding.detach(), own.detached())))
    })?;
    let (mut layers, mut embedding, mut means) = (Vec::new(), Vec::new(), Vec::new());
    for (attention_L, term, own) in found {
        layers.push(attention_L);
        embedding.push(term);
        means.push(own);
    }
    let sum = |parts: &[Tensor]| Tensor::f_stack(parts, 0)?.f_sum_dim_intlist(0, false, real.embedding_KD.kind());
    let attention = (0..real.attention.len())
        .map(|layer| Tensor::f_cat(&means.iter().map(|means| &means.attention[layer]).collect::<Vec<_>>(), 0));
    Ok(Matched {
        attention_L: sum(&layers)?,
        embedding: sum(&embedding)?,
        means: ClassMeans {
            attention: attention.collect::<Result<_, _>>()?,
            embedding_KD: Tensor::f_cat(&means.iter().map(|means| &means.embedding_KD).collect::<Vec<_>>(), 0)?,
        },
        gradient_MCHW,
    })
}
