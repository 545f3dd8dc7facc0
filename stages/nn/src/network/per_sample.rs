//! Per-sample gradients: the gradient of every image of a batch by itself, for all of them in one forward and one backward
//! pass. The gradient with respect to a layer's output (`grad_output`) and the layer's saved input give the gradient of
//! each image with respect to the layer's parameters; for linear layers it is kept factored, as in ghost clipping. Knows
//! the layers that treat images apart and use each parameter once; transformers and grouped convolutions are not among
//! them.
//!
//! Shapes: B batch, C channels in, O channels out, L places of a map, I inputs, N numbers of a parameter.

use super::{Mode, Network, Parameters};
use crate::layout::Layout;
use crate::network::layer::{Kernel, Layer};
use crate::network::normalise::per_image;
use crate::network::spec::Norm;
use tch::{TchError, Tensor};

/// Numbers that a convolution's input is unfolded to at a time, unless one image has more: on a CPU what stays in its
/// caches, on a GPU a quarter of a gigabyte.
const UNFOLDED_CPU: i64 = 1 << 18;
const UNFOLDED_GPU: i64 = 1 << 26;

/// The gradients of the images of a batch, one for each.
#[derive(Debug)]
pub struct PerSampleGradients {
    /// In the order of [`Parameters::trainable`].
    parts: Vec<SampleGradient>,
}

/// The per-sample gradients of one parameter.
#[derive(Debug)]
enum SampleGradient {
    /// \[B,N\].
    Rows(Tensor),
    /// \[B,O\] and \[B,I\], whose product is each image's gradient.
    Outer(Tensor, Tensor),
}

/// A layer with parameters, and what was saved of it in the forward pass.
pub(super) struct SavedActivation<'a> {
    pub layer: &'a Layer,
    pub input: Tensor,
    pub output: Tensor,
}

impl Network {
    /// Whether [`per_sample_gradients`](Self::per_sample_gradients) knows all layers of this network.
    pub fn has_per_sample_gradients(&self) -> bool {
        self.features.iter().chain([&self.classifier]).all(is_known)
    }

    /// The gradient that each image of a batch \[B,C,H,W\] would have alone. `loss` makes of the logits \[B,K\] a sum of
    /// one term for each image, a scalar.
    pub fn per_sample_gradients(
        &self,
        parameters: &Parameters,
        images_BCHW: &Tensor,
        loss: impl FnOnce(&Tensor) -> Result<Tensor, TchError>,
    ) -> Result<PerSampleGradients, TchError> {
        let parameters = parameters.detached();
        let mut saved = Vec::new();
        // Only what a graph hangs on is kept by libtorch; no gradient of the images themselves is needed.
        let images = images_BCHW.f_detach()?.f_set_requires_grad(true)?;
        let layers = self.features.iter().chain([&self.classifier]);
        let logits = self.walk(layers, &parameters, &images, &mut saved)?;
        let outputs: Vec<&Tensor> = saved.iter().map(|saved| &saved.output).collect();
        let grad_outputs = Tensor::f_run_backward(&[loss(&logits)?], &outputs, false, false)?;
        let mut parts: Vec<Option<SampleGradient>> = parameters.trainable.iter().map(|_| None).collect();
        tch::no_grad(|| {
            for (SavedActivation { layer, input, .. }, grad_output) in saved.iter().zip(&grad_outputs) {
                for (at, part) in per_sample(layer, &input.f_detach()?, grad_output)? {
                    parts[at] = Some(part);
                }
            }
            let parts: Option<Vec<SampleGradient>> = parts.into_iter().collect();
            let unknown = || TchError::Torch("a layer whose gradients per image are not known".into());
            Ok(PerSampleGradients { parts: parts.ok_or_else(unknown)? })
        })
    }

    /// What the layers make of `x` in evaluation mode; what is saved of those that have parameters comes to `saved`.
    pub(super) fn walk<'a>(
        &'a self,
        layers: impl IntoIterator<Item = &'a Layer>,
        parameters: &Parameters,
        x: &Tensor,
        saved: &mut Vec<SavedActivation<'a>>,
    ) -> Result<Tensor, TchError> {
        let mut x = x.shallow_clone();
        for layer in layers {
            x = match layer {
                Layer::Residual { body, shortcut } => {
                    let body = self.walk(body, parameters, &x, saved)?;
                    body.f_add(&self.walk(shortcut, parameters, &x, saved)?)?
                }
                Layer::Gate(factors) => x.f_mul(&self.walk(factors, parameters, &x, saved)?)?,
                Layer::Stage(layers) => self.walk(layers, parameters, &x, saved)?,
                Layer::Convolution { .. } | Layer::Norm { .. } | Layer::Linear { .. } => {
                    let output = self.layer(layer, parameters, &x, Mode::Eval, &mut parameters.clone().buffers)?;
                    saved.push(SavedActivation { layer, input: x, output: output.shallow_clone() });
                    output
                }
                other => self.layer(other, parameters, &x, Mode::Eval, &mut [])?,
            };
        }
        Ok(x)
    }
}

fn is_known(layer: &Layer) -> bool {
    match layer {
        Layer::Tokens(_) | Layer::Norm { norm: Norm::Batch, .. } => false,
        Layer::Convolution { kernel, .. } => kernel.groups == 1,
        Layer::Residual { body, shortcut } => body.iter().chain(shortcut).all(is_known),
        Layer::Gate(layers) | Layer::Stage(layers) => layers.iter().all(is_known),
        _ => true,
    }
}

/// What the images ask of a layer's parameters, by their places: from the layer's input and the grad_output of the loss in its
/// output.
fn per_sample(layer: &Layer, input: &Tensor, grad_output: &Tensor) -> Result<Vec<(usize, SampleGradient)>, TchError> {
    Ok(match *layer {
        Layer::Convolution { at, kernel } => {
            let weight = (at, SampleGradient::Rows(of_kernel(input, &grad_output.f_flatten(2, -1)?, kernel)?));
            let bias =
                kernel.bias.then(|| grad_output.f_sum_dim_intlist([2i64, 3].as_slice(), false, grad_output.kind()));
            let bias = bias.transpose()?.map(|rows_BO| (at + 1, SampleGradient::Rows(rows_BO)));
            std::iter::once(weight).chain(bias).collect()
        }
        Layer::Norm { norm, at, shape, .. } => {
            let scaled = grad_output.f_mul(&per_image(input, norm, shape, None, None)?)?;
            let rows = |values: &Tensor| match norm {
                Norm::Layer => values.f_flatten(1, -1),
                _ => values.f_sum_dim_intlist([2i64, 3].as_slice(), false, values.kind()),
            };
            vec![(at, SampleGradient::Rows(rows(&scaled)?)), (at + 1, SampleGradient::Rows(rows(grad_output)?))]
        }
        Layer::Linear { at } => {
            let weight = SampleGradient::Outer(grad_output.shallow_clone(), input.shallow_clone());
            vec![(at, weight), (at + 1, SampleGradient::Rows(grad_output.shallow_clone()))]
        }
        _ => Vec::new(),
    })
}

/// \[B,O*I\]: the grad_outputs \[B,O,L\] of a convolution's outputs times what each of them saw of the input \[B,C,H,W\], which
/// is unfolded for some images at a time.
fn of_kernel(input_BCHW: &Tensor, slope_BOL: &Tensor, kernel: Kernel) -> Result<Tensor, TchError> {
    let Kernel { size, stride, padding, .. } = kernel;
    let each = input_BCHW.size()[1] * size * size * slope_BOL.size()[2];
    let unfolded = match Layout::of(input_BCHW.device()) {
        Layout::Pieces => UNFOLDED_CPU,
        Layout::Together => UNFOLDED_GPU,
    };
    let some = (unfolded / each.max(1)).max(1);
    let mut rows = Vec::new();
    for (input, grad_output) in input_BCHW.f_split(some, 0)?.iter().zip(slope_BOL.f_split(some, 0)?) {
        let seen_BIL = input.f_im2col([size, size], [1, 1], [padding, padding], [stride, stride])?;
        rows.push(grad_output.f_bmm(&seen_BIL.f_transpose(1, 2)?)?.f_flatten(1, -1)?);
    }
    Tensor::f_cat(&rows, 0)
}

impl PerSampleGradients {
    /// \[B\]: the norm of each image's gradient over all parameters together.
    pub fn norms(&self) -> Result<Tensor, TchError> {
        let norm = |rows: &Tensor| rows.f_norm_scalaropt_dim(2, [1i64].as_slice(), false);
        let norms = self.parts.iter().map(|part| match part {
            SampleGradient::Rows(rows) => norm(rows),
            SampleGradient::Outer(out, input) => norm(out)?.f_mul(&norm(input)?),
        });
        Tensor::f_stack(&norms.collect::<Result<Vec<_>, _>>()?, 0)?.f_norm_scalaropt_dim(2, [0i64].as_slice(), false)
    }

    /// The gradients with nothing in the place of those that are not wanted (\[B\] bool).
    pub fn only(&self, wanted: &Tensor) -> Result<Self, TchError> {
        let only = |values: &Tensor| values.f_where_self(&wanted.f_unsqueeze(1)?, &values.f_zeros_like()?);
        let parts = self.parts.iter().map(|part| {
            Ok(match part {
                SampleGradient::Rows(rows) => SampleGradient::Rows(only(rows)?),
                SampleGradient::Outer(out, input) => SampleGradient::Outer(only(out)?, only(input)?),
            })
        });
        Ok(PerSampleGradients { parts: parts.collect::<Result<_, TchError>>()? })
    }

    /// The sum of the gradients, each times its factor \[B\]; in the order of the parameters, each in one row.
    pub fn weighted_sum(&self, factors_B: &Tensor) -> Result<Vec<Tensor>, TchError> {
        let factors_1B = factors_B.f_unsqueeze(0)?;
        let sum = |part: &SampleGradient| match part {
            SampleGradient::Rows(rows) => factors_1B.f_matmul(rows)?.f_flatten(0, -1),
            SampleGradient::Outer(out, input) => {
                out.f_transpose(0, 1)?.f_mul(&factors_1B)?.f_matmul(input)?.f_flatten(0, -1)
            }
        };
        self.parts.iter().map(sum).collect()
    }
}
