//! The normalisations. Batch norm takes its running statistics as values and gives the updated ones back.

use super::{Mode, Parameters};
use crate::network::spec::Norm;
use tch::{TchError, Tensor};

/// Groups of the group norm.
pub(super) const GROUPS: i64 = 4;

const EPS: f64 = 1e-5;

/// Share of the new batch in the running statistics; its variance enters unbiased.
const MOMENTUM: f64 = 0.1;

/// libtorch would divide by zero and leave a running variance that is not a number.
const ONE_VALUE: &str = "a batch norm cannot be trained with one image whose maps are of one pixel; take batches of at \
    least two images (a number of images that leaves no single one for the last batch) or larger images";

/// Where a norm finds its parameters.
pub(super) struct Place {
    pub norm: Norm,
    pub at: usize,
    pub buffer: usize,
    pub shape: [i64; 3],
}

/// Normalises a batch. In training mode a batch norm writes the updated statistics to `updated`, which holds the
/// given ones when it is called; a batch with a single value per channel has no variance and is an error.
pub(super) fn normalise(
    x_BCHW: &Tensor,
    place: &Place,
    parameters: &Parameters,
    mode: Mode,
    updated: &mut [Tensor],
) -> Result<Tensor, TchError> {
    let (weight, bias) = (Some(&parameters.trainable[place.at]), Some(&parameters.trainable[place.at + 1]));
    match place.norm {
        Norm::Batch => {
            let train = mode == Mode::Train;
            if train {
                let [_, height, width] = place.shape;
                if x_BCHW.size()[0] * height * width == 1 {
                    return Err(TchError::Shape(ONE_VALUE.into()));
                }
                // libtorch updates statistics in place: it gets copies, the caller keeps its own.
                for place in [place.buffer, place.buffer + 1] {
                    updated[place] = updated[place].f_detach_copy()?;
                }
            }
            let (mean, var) = (Some(&updated[place.buffer]), Some(&updated[place.buffer + 1]));
            x_BCHW.f_batch_norm(weight, bias, mean, var, train, MOMENTUM, EPS, true)
        }
        norm => per_image(x_BCHW, norm, place.shape, weight, bias),
    }
}

/// The running statistics after a batch that a network sees twice in training mode, from those before it and after the
/// first time.
pub fn seen_twice(before: &[Tensor], after: &[Tensor]) -> Result<Vec<Tensor>, TchError> {
    let again = |(before, after): (&Tensor, &Tensor)| {
        // The second time moves them by as much as the first one did, less the share that has been forgotten.
        after.f_add(&after.f_sub(before)?.f_mul_scalar(1.0 - MOMENTUM)?)
    };
    before.iter().zip(after).map(again).collect()
}

/// Normalises each image by itself, and changes nothing for a batch norm; `shape` is that of one image.
pub(super) fn per_image(
    x_BCHW: &Tensor,
    norm: Norm,
    shape: [i64; 3],
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
) -> Result<Tensor, TchError> {
    match norm {
        Norm::Instance => x_BCHW.f_group_norm(shape[0], weight, bias, EPS, true),
        Norm::Group => per_groups(x_BCHW, GROUPS, weight, bias),
        Norm::Layer => x_BCHW.f_layer_norm(shape, weight, bias, EPS, true),
        Norm::Batch | Norm::None => Ok(x_BCHW.shallow_clone()),
    }
}

/// Normalises each image over groups of its channels.
pub(super) fn per_groups(
    x_BCHW: &Tensor,
    groups: i64,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
) -> Result<Tensor, TchError> {
    x_BCHW.f_group_norm(groups, weight, bias, EPS, true)
}

/// What a batch norm in evaluation mode makes of a batch before its weight and bias: `statistics` are mean and variance.
pub(super) fn standardised(x_BCHW: &Tensor, statistics: &[Tensor]) -> Result<Tensor, TchError> {
    let [mean, var] = statistics else {
        return Err(TchError::Shape("a batch norm without mean and variance".into()));
    };
    let nothing = None::<&Tensor>;
    x_BCHW.f_batch_norm(nothing, nothing, Some(mean), Some(var), false, MOMENTUM, EPS, true)
}
