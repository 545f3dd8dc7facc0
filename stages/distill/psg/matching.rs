//! Gradient matching: how far the synthetic images' gradient is from a given one, and the slope of that distance in the
//! images. One term covers all classes: the given gradient is that of a mixed sample, and the synthetic one that of the
//! whole set. Knows no privacy.
//!
//! Legend: M synthetic images, C channels, H height, W width.

use crate::common::network::{Chunk, Mode, Network, Parameters};
use crate::common::train;
use serde::{Deserialize, Serialize};
use tch::{Kind, Reduction, TchError, Tensor};

/// A distance of two gradients, each a list of tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Distance {
    /// The sum over outputs (rows of a matrix, filters of a convolution) of 1 - cosine; tensors of one axis are left
    /// out.
    Ours,
    /// The squared distance over everything.
    Mse,
    /// 1 - cosine over everything.
    Cos,
}

/// Keeps the cosine of an empty gradient finite.
const EPS: f64 = 1e-6;

/// What one comparison gives.
#[derive(Debug)]
pub struct Matched {
    /// A scalar.
    pub loss: Tensor,
    /// \[M,C,H,W\], its gradient with respect to the images.
    pub gradient_MCHW: Tensor,
}

impl Distance {
    /// The distance, a scalar; gradients flow back into both.
    pub fn between(self, synthetic: &[Tensor], given: &[Tensor]) -> Result<Tensor, TchError> {
        let flat = |parts: &[Tensor]| {
            let parts: Result<Vec<_>, _> = parts.iter().map(|part| part.f_reshape([1, -1])).collect();
            Tensor::f_cat(&parts?, 1)
        };
        match self {
            Distance::Mse => flat(synthetic)?.f_sub(&flat(given)?)?.f_square()?.f_sum(Kind::Float),
            Distance::Cos => angles(&flat(synthetic)?, &flat(given)?),
            Distance::Ours => {
                let rows = |part: &Tensor| part.f_reshape([part.size()[0], -1]);
                let counts = synthetic.iter().zip(given).filter(|(part, _)| self.uses(part));
                let parts: Result<Vec<_>, _> = counts.map(|(a, b)| angles(&rows(a)?, &rows(b)?)).collect();
                Tensor::f_stack(&parts?, 0)?.f_sum(Kind::Float)
            }
        }
    }

    fn uses(self, part: &Tensor) -> bool {
        self != Distance::Ours || part.dim() > 1
    }
}

/// The sum over rows of 1 - cosine.
fn angles(a: &Tensor, b: &Tensor) -> Result<Tensor, TchError> {
    let norm = |x: &Tensor| x.f_norm_scalaropt_dim(2.0, [-1].as_slice(), false);
    let product = a.f_mul(b)?.f_sum_dim_intlist([-1].as_slice(), false, Kind::Float)?;
    let cosine = product.f_div(&norm(a)?.f_mul(&norm(b)?)?.f_add_scalar(EPS)?)?;
    cosine.f_rsub_scalar(1.0)?.f_sum(Kind::Float)
}

/// Compares the gradient of the mean cross entropy of the synthetic images with a given one.
///
/// More images than `chunk` go in two rounds: first the gradient itself, without a graph, and the slope of the distance
/// in it; then, a chunk at a time, how the images move the gradient along that slope. Only a chunk's graph is held, and
/// the result is the same up to rounding.
pub fn match_gradient(
    network: &Network,
    parameters: &Parameters,
    (images_MCHW, labels): (&Tensor, &Tensor),
    given: &[Tensor],
    distance: Distance,
    chunk: Chunk,
) -> Result<Matched, TchError> {
    let count = images_MCHW.size()[0];
    let leaves = parameters.tracked();
    let part_gradient = |images: &Tensor, labels: &Tensor, inputs: &[&Tensor]| {
        let logits = network.forward(&leaves, images, Mode::Train)?.logits;
        let loss = logits.f_cross_entropy_loss(labels, None::<&Tensor>, Reduction::Sum, -100, 0.0)?;
        Tensor::f_run_backward(&[loss.f_div_scalar(count)?], inputs, true, true)
    };
    let slope_in = |scalar: &Tensor, leaf: &Tensor| -> Result<Tensor, TchError> {
        let mut slopes = Tensor::f_run_backward(&[scalar], &[leaf], false, false)?;
        slopes.pop().ok_or_else(|| TchError::Torch("no gradient came back".into()))
    };
    let leaf = |images: &Tensor| images.f_detach()?.f_set_requires_grad(true);

    if count <= chunk.0 {
        let images = leaf(images_MCHW)?;
        let all: Vec<&Tensor> = leaves.trainable.iter().collect();
        let loss = distance.between(&part_gradient(&images, labels, &all)?, given)?;
        return Ok(Matched { gradient_MCHW: slope_in(&loss, &images)?, loss: loss.detach() });
    }

    let whole = train::gradient(network, parameters, images_MCHW, labels, chunk)?.gradients;
    let whole: Vec<Tensor> = whole.iter().map(leaf).collect::<Result<_, _>>()?;
    let loss = distance.between(&whole, given)?;
    let used: Vec<&Tensor> = whole.iter().filter(|part| distance.uses(part)).collect();
    let slopes = Tensor::f_run_backward(&[&loss], &used, false, false)?;
    let used: Vec<&Tensor> = leaves.trainable.iter().filter(|part| distance.uses(part)).collect();
    let mut gradients = Vec::new();
    let size = chunk.0.max(1);
    for (images, labels) in images_MCHW.f_split(size, 0)?.iter().zip(labels.f_split(size, 0)?) {
        let images = leaf(images)?;
        let parts = part_gradient(&images, &labels, &used)?;
        let along: Result<Vec<_>, _> =
            parts.iter().zip(&slopes).map(|(part, slope)| part.f_mul(slope)?.f_sum(Kind::Float)).collect();
        gradients.push(slope_in(&Tensor::f_stack(&along?, 0)?.f_sum(Kind::Float)?, &images)?);
    }
    Ok(Matched { loss: loss.detach(), gradient_MCHW: Tensor::f_cat(&gradients, 0)? })
}
