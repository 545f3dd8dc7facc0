//! Gradient matching with all classes in the same passes: one for the gradients that the real images give, class by class,
//! one for those of the synthetic images and the way back to their pixels. As many operations for many classes as for few,
//! unless memory asks for several runs. The same numbers as class after class (`gradient.rs`), up to rounding. Pure;
//! networks are in evaluation mode.
//!
//! Legend: K classes, M synthetic images, C channels, H height, W width.

use super::Distance;
use crate::distill::synthesis::{ClassAugmentation, ClassImages, class_groups, each};
use ddpipe_nn::autograd::leaf;
use ddpipe_nn::network::{Chunk, Network, Parameters};
use ddpipe_nn::pieces::Graph;
use ddpipe_nn::transfer;
use std::ops::Range;
use tch::{Kind, Reduction, TchError, Tensor};

/// What one comparison of all classes gives.
#[derive(Debug)]
pub struct MatchedClasses {
    /// \[K\], the distance of each class, without a graph.
    pub distances_K: Tensor,
    /// \[M,C,H,W\], the gradient of their sum with respect to the pixels.
    pub gradient_MCHW: Tensor,
}

/// The gradients \[K,…\] of the mean cross entropy of each class's images, without a graph, of the parameters that count in
/// the distance; the others are undefined. No more than `chunk` images go through the network at a time.
pub fn constant_gradients(
    network: &Network,
    parameters: &Parameters,
    images: &ClassImages,
    distance: Distance,
    chunk: Chunk,
) -> Result<Vec<Tensor>, TchError> {
    let most = chunk.0.max(1);
    let mut found: Vec<Vec<Tensor>> = Vec::new();
    for classes in class_groups(&images.counts, most) {
        let (all, counts) = (images.classes(classes.clone()), &images.counts[classes.clone()]);
        let labels = labels(&classes, counts, &all)?;
        // A class that is larger than a chunk is a group by itself.
        let parts = all.f_split(most, 0)?.into_iter().zip(labels.f_split(most, 0)?);
        let mut sums: Vec<Tensor> = Vec::new();
        for (part, labels) in parts {
            let here = if counts.len() == 1 { vec![part.size()[0]] } else { counts.to_vec() };
            let part = Side { network, parameters, distance, graph: Graph::Without }
                .gradients(&part, &labels, &here, counts)?;
            sums = match sums.is_empty() {
                true => part,
                false => sums.iter().zip(&part).map(|(sum, part)| sum_of(sum, part)).collect::<Result<_, _>>()?,
            };
        }
        found.push(sums);
    }
    joined(&found)
}

/// Compares the gradients that synthetic images give, each class under its augmentation, with those of the real ones, \[K,…\] each, and follows the
/// comparison back to the pixels: second order, with the graph of no more than `chunk` images at a time unless a class has
/// more.
#[expect(clippy::too_many_arguments, reason = "network, weights, images and draws come in one by one")]
pub fn match_gradients(
    network: &Network,
    parameters: &Parameters,
    target: &[Tensor],
    synthetic: &ClassImages,
    labels: &Tensor,
    augmentation: &ClassAugmentation,
    distance: Distance,
    chunk: Chunk,
) -> Result<MatchedClasses, TchError> {
    let mut start = 0;
    let of_classes = |classes: Range<usize>| {
        let counts = &synthetic.counts[classes.clone()];
        let pixels = leaf(&synthetic.classes(classes.clone()))?;
        let labels = labels.f_narrow(0, start, counts.iter().sum())?;
        start += counts.iter().sum::<i64>();
        let images = augmentation.apply_to(classes.clone(), &pixels, counts)?;
        let side = Side { network, parameters, distance, graph: Graph::Kept };
        let own = side.gradients(&images, &labels, counts, counts)?;
        let target = target.iter().map(|target| match target.defined() {
            true => target.f_narrow(0, classes.start as i64, classes.len() as i64),
            false => Ok(Tensor::new()),
        });
        let distances_K = distance.between_each(&target.collect::<Result<Vec<_>, _>>()?, &own)?;
        let sum = distances_K.f_sum(distances_K.kind())?;
        let gradient = Tensor::f_run_backward(&[sum], &[&pixels], false, false)?.remove(0);
        Ok((distances_K.f_detach()?, gradient))
    };
    let groups = class_groups(&synthetic.counts, chunk.0.max(1));
    let matched: Result<Vec<_>, TchError> = tch::with_grad(|| groups.into_iter().map(of_classes).collect());
    let (distances, gradients): (Vec<Tensor>, Vec<Tensor>) = matched?.into_iter().unzip();
    Ok(MatchedClasses { distances_K: Tensor::f_cat(&distances, 0)?, gradient_MCHW: Tensor::f_cat(&gradients, 0)? })
}

/// One side of a comparison.
struct Side<'a> {
    network: &'a Network,
    parameters: &'a Parameters,
    distance: Distance,
    graph: Graph,
}

impl Side<'_> {
    /// The gradients \[K,…\] of images of which `here` belong to each class, as their share in the mean over `all`.
    fn gradients(&self, images: &Tensor, labels: &Tensor, here: &[i64], all: &[i64]) -> Result<Vec<Tensor>, TchError> {
        let entropy = |logits: &Tensor| {
            let sum = |reduction| logits.f_cross_entropy_loss(labels, None::<&Tensor>, reduction, -100, 0.0);
            match each(all) {
                Some(each) => sum(Reduction::Sum)?.f_div_scalar(each),
                None => {
                    let shares = here.iter().zip(all).flat_map(|(&here, &all)| vec![1.0 / all as f64; here as usize]);
                    let shares = transfer::constant(&shares.collect::<Vec<_>>(), logits.kind(), logits.device());
                    sum(Reduction::None)?.f_mul(&shares)?.f_sum(logits.kind())
                }
            }
        };
        let counts = |shape: &[i64]| self.distance.counts(shape);
        self.network.gradients_by_group(self.parameters, images, here, self.graph, counts, entropy)
    }
}

/// The class of every image.
fn labels(classes: &Range<usize>, counts: &[i64], images: &Tensor) -> Result<Tensor, TchError> {
    let device = images.device();
    match each(counts) {
        Some(each) => {
            let classes = Tensor::f_arange_start(classes.start as i64, classes.end as i64, (Kind::Int64, device))?;
            classes.f_unsqueeze(1)?.f_expand([-1, each], false)?.f_reshape([-1])
        }
        None => {
            let labels = classes.clone().zip(counts).flat_map(|(class, &count)| vec![class as i64; count as usize]);
            Ok(transfer::whole(&labels.collect::<Vec<_>>(), device))
        }
    }
}

/// The gradients of runs of classes, one after the other.
fn joined(runs: &[Vec<Tensor>]) -> Result<Vec<Tensor>, TchError> {
    if let [only] = runs {
        return Ok(only.iter().map(Tensor::shallow_clone).collect());
    }
    let of_parameter = |at: usize| -> Result<Tensor, TchError> {
        let parts: Vec<&Tensor> = runs.iter().filter_map(|run| run.get(at)).collect();
        if parts.iter().all(|part| part.defined()) { Tensor::f_cat(&parts, 0) } else { Ok(Tensor::new()) }
    };
    (0..runs.first().map_or(0, Vec::len)).map(of_parameter).collect()
}

fn sum_of(one: &Tensor, other: &Tensor) -> Result<Tensor, TchError> {
    if one.defined() { one.f_add(other) } else { Ok(Tensor::new()) }
}
