//! The gradients that groups of images (classes) ask for, each group by itself, of all groups in one forward and one
//! backward pass. All groups meet the same parameters, so the passes are those of one batch; what each layer was given and
//! the gradient with respect to its output are summed into a gradient over the images of a group, by one product of
//! matrices for all groups. As many operations for many groups as for few. Where a graph is kept, the gradients can be
//! followed back to the images. No parameter is copied for a group, so that convolutions stay ordinary ones, forward, back
//! and in second derivatives; side by side for each group they would be grouped ones.
//!
//! Knows the layers that treat images apart; transformers and grouped convolutions are not among them. Per-sample
//! gradients, which have no graph, are in `per_sample.rs`.
//!
//! Shapes: B images of all groups, G groups, N images of a group, C channels in, O channels out, L places of a map, P
//! numbers of a kernel's field.

use super::per_sample::SavedActivation;
use super::{Network, Parameters};
use crate::network::layer::{Kernel, Layer};
use crate::network::normalise::{per_image, standardised};
use crate::network::spec::Norm;
use crate::pieces::Graph;
use crate::transfer;
use tch::{TchError, Tensor};

/// Numbers that a convolution's input is unfolded to at a time, unless one image of each group has more: a gigabyte.
const UNFOLDED: i64 = 1 << 28;

impl Network {
    /// Whether [`gradients_by_group`](Self::gradients_by_group) knows all layers of this network.
    pub fn has_gradients_by_group(&self) -> bool {
        self.features.iter().chain([&self.classifier]).all(is_known)
    }

    /// The gradients that images \[B,C,H,W\], group after group with so many images each (`counts`, above zero), ask for in
    /// evaluation mode: of every trainable parameter \[G,…\], undefined for those whose shape is not `wanted`. `loss` makes
    /// of the logits \[B,K\] a sum of one term for each image, a scalar. With [`Graph::Kept`] the gradients have a graph
    /// that leads to the images, if these have one or are its leaves.
    pub fn gradients_by_group(
        &self,
        parameters: &Parameters,
        images_BCHW: &Tensor,
        counts: &[i64],
        graph: Graph,
        wanted: impl Fn(&[i64]) -> bool,
        loss: impl FnOnce(&Tensor) -> Result<Tensor, TchError>,
    ) -> Result<Vec<Tensor>, TchError> {
        let groups = Groups::new(counts, images_BCHW)?;
        let kept = graph == Graph::Kept;
        let parameters = parameters.detached();
        let (saved, slopes) = tch::with_grad(|| {
            // libtorch keeps only what a graph hangs on.
            let images = match kept {
                true => images_BCHW.shallow_clone(),
                false => images_BCHW.f_detach()?.f_set_requires_grad(true)?,
            };
            let mut saved = Vec::new();
            let logits = self.walk(self.features.iter().chain([&self.classifier]), &parameters, &images, &mut saved)?;
            let outputs: Vec<&Tensor> = saved.iter().map(|saved| &saved.output).collect();
            let slopes = Tensor::f_run_backward(&[loss(&logits)?], &outputs, kept, kept)?;
            Ok::<_, TchError>((saved, slopes))
        })?;
        let specs: Vec<_> = self.trainable().collect();
        let mut gradients: Vec<Tensor> = specs.iter().map(|_| Tensor::new()).collect();
        graph.within(|| {
            for (saved, slope) in saved.iter().zip(&slopes) {
                for (at, sum) in groups.sums(saved, slope, &parameters, |at| wanted(&specs[at].shape))? {
                    let shape: Vec<i64> = [groups.count].iter().chain(&specs[at].shape).copied().collect();
                    gradients[at] = sum.f_reshape(shape)?;
                }
            }
            Ok(gradients)
        })
    }
}

fn is_known(layer: &Layer) -> bool {
    match layer {
        Layer::Tokens(_) => false,
        Layer::Convolution { kernel, .. } => kernel.groups == 1,
        Layer::Residual { body, shortcut } => body.iter().chain(shortcut).all(is_known),
        Layer::Gate(layers) | Layer::Stage(layers) => layers.iter().all(is_known),
        _ => true,
    }
}

/// Which images belong together.
struct Groups {
    /// G.
    count: i64,
    /// N, the most images of a group.
    most: i64,
    /// Where groups differ in size: the images of each group, and places past the last image up to N of them.
    places: Option<Tensor>,
}

impl Groups {
    fn new(counts: &[i64], images: &Tensor) -> Result<Self, TchError> {
        let (count, most) = (counts.len() as i64, counts.iter().copied().max().unwrap_or(0));
        if counts.iter().all(|&count| count == most) {
            return Ok(Groups { count, most, places: None });
        }
        let (total, mut start) = (counts.iter().sum::<i64>(), 0);
        let mut places = Vec::new();
        for &count in counts {
            places.extend((0..most).map(|image| if image < count { start + image } else { total }));
            start += count;
        }
        let places = transfer::whole(&places, images.device());
        Ok(Groups { count, most, places: Some(places) })
    }

    /// What belongs to the images, \[B,…\], as \[G,N,…\]; zeros where a group has no more images.
    fn rows(&self, values: &Tensor) -> Result<Tensor, TchError> {
        let rows = match &self.places {
            None => values.shallow_clone(),
            Some(places) => {
                let zeros = values.f_narrow(0, 0, 1)?.f_zeros_like()?;
                Tensor::f_cat(&[values, &zeros], 0)?.f_index_select(0, places)?
            }
        };
        let shape: Vec<i64> = [self.count, self.most].iter().chain(&values.size()[1..]).copied().collect();
        rows.f_reshape(shape)
    }

    /// The sum over the images of each group.
    fn sum(&self, values: &Tensor) -> Result<Tensor, TchError> {
        self.rows(values)?.f_sum_dim_intlist(1, false, values.kind())
    }

    /// The gradients \[G,…\] of a layer's parameters that are wanted, by their places.
    fn sums(
        &self,
        SavedActivation { layer, input, .. }: &SavedActivation,
        slope: &Tensor,
        parameters: &Parameters,
        wanted: impl Fn(usize) -> bool,
    ) -> Result<Vec<(usize, Tensor)>, TchError> {
        let by_channel = |values: &Tensor| values.f_sum_dim_intlist([2i64, 3].as_slice(), false, values.kind());
        let mut sums = Vec::new();
        match **layer {
            Layer::Convolution { at, kernel } => {
                if wanted(at) {
                    sums.push((at, self.of_kernel(input, slope, kernel)?));
                }
                if kernel.bias && wanted(at + 1) {
                    sums.push((at + 1, self.sum(&by_channel(slope)?)?));
                }
            }
            Layer::Norm { norm, at, buffer, shape } => {
                let of_image =
                    |values: &Tensor| if norm == Norm::Layer { Ok(values.shallow_clone()) } else { by_channel(values) };
                if wanted(at) {
                    let normal = match norm {
                        Norm::Batch => standardised(input, &parameters.buffers[buffer..buffer + 2])?,
                        _ => per_image(input, norm, shape, None, None)?,
                    };
                    sums.push((at, self.sum(&of_image(&slope.f_mul(&normal)?)?)?));
                }
                if wanted(at + 1) {
                    sums.push((at + 1, self.sum(&of_image(slope)?)?));
                }
            }
            Layer::Linear { at } => {
                if wanted(at) {
                    let slope_GON = self.rows(slope)?.f_transpose(1, 2)?;
                    sums.push((at, slope_GON.f_bmm(&self.rows(input)?)?));
                }
                if wanted(at + 1) {
                    sums.push((at + 1, self.sum(slope)?));
                }
            }
            _ => {}
        }
        Ok(sums)
    }

    /// \[G,O,P\]: the slopes \[B,O,H,W\] of a convolution's outputs times the fields of its input that each of them saw, for
    /// some images of every group at a time. The fields are views of the padded input; libtorch's `im2col` would be called
    /// on a GPU image after image.
    fn of_kernel(&self, input: &Tensor, slope: &Tensor, kernel: Kernel) -> Result<Tensor, TchError> {
        let Kernel { size, stride, padding, .. } = kernel;
        let padded = match padding {
            0 => input.shallow_clone(),
            _ => input.f_constant_pad_nd([padding; 4])?,
        };
        let (padded_GN, slope_GN) = (self.rows(&padded)?, self.rows(slope)?);
        let (outputs, field) = (slope.size()[1], input.size()[1] * size * size);
        let each = self.count * field * slope.size()[2..].iter().product::<i64>();
        let some = (UNFOLDED / each.max(1)).max(1);
        let mut sum: Option<Tensor> = None;
        for (padded, slope) in padded_GN.f_split(some, 1)?.iter().zip(slope_GN.f_split(some, 1)?) {
            // [G,N,C,H,W,k,k] to [G,N*L,P], and [G,N,O,H,W] to [G,O,N*L].
            let fields = padded.f_unfold(3, size, stride)?.f_unfold(4, size, stride)?;
            let fields_GLP = fields.f_permute([0, 1, 3, 4, 2, 5, 6])?.f_reshape([self.count, -1, field])?;
            let slope_GOL = slope.f_transpose(1, 2)?.f_reshape([self.count, outputs, -1])?;
            let part = slope_GOL.f_bmm(&fields_GLP)?;
            sum = Some(match sum {
                Some(sum) => sum.f_add(&part)?,
                None => part,
            });
        }
        sum.ok_or_else(|| TchError::Torch("a group without images has no gradient".into()))
    }
}
