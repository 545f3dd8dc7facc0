//! Several networks of one architecture as one: parameters and running statistics have an axis more, and every operation
//! computes all networks, each on images of its own. Maps lie side by side as groups of channels, so convolutions become
//! grouped ones and norms have more groups; linear layers become products of batches of matrices. As many operations for
//! many networks as for few, and the numbers of each by itself up to rounding. Transformers cannot be stacked.
//!
//! Shapes: S networks, B images of each, C channels, H rows, W columns, D numbers of an image, K classes.

use super::normalise::{GROUPS, Place, normalise, per_groups, per_image};
use super::{Mode, Network, Parameters};
use crate::network::layer::{Kernel, Layer};
use crate::network::spec::Norm;
use tch::{TchError, Tensor};

impl Parameters {
    /// The values of several networks as one: \[S,…\] each.
    pub fn stack(networks: &[Parameters]) -> Result<Parameters, TchError> {
        let stack = |tensors: fn(&Parameters) -> &Vec<Tensor>| -> Result<Vec<Tensor>, TchError> {
            let count = networks.first().map_or(0, |first| tensors(first).len());
            let of_all = |at: usize| networks.iter().filter_map(|network| tensors(network).get(at)).collect::<Vec<_>>();
            (0..count).map(|at| Tensor::f_stack(&of_all(at), 0)).collect()
        };
        Ok(Parameters { trainable: stack(|network| &network.trainable)?, buffers: stack(|network| &network.buffers)? })
    }

    /// The values of one network of a stack, counted from 0; views.
    pub fn of_stack(&self, network: i64) -> Result<Parameters, TchError> {
        let one = |tensors: &[Tensor]| tensors.iter().map(|tensor| tensor.f_get(network)).collect::<Result<_, _>>();
        Ok(Parameters { trainable: one(&self.trainable)?, buffers: one(&self.buffers)? })
    }
}

impl Network {
    /// Whether [`forward_stacked`](Self::forward_stacked) knows all layers of this network.
    pub fn can_be_stacked(&self) -> bool {
        self.features.iter().chain([&self.classifier]).all(is_known)
    }

    /// The logits \[S,B,K\] of networks whose parameters are stacked, each for images of its own (\[S,B,C,H,W\]), and the
    /// running statistics afterwards, stacked.
    pub fn forward_stacked(
        &self,
        stacked: &Parameters,
        x_SBCHW: &Tensor,
        mode: Mode,
    ) -> Result<(Tensor, Vec<Tensor>), TchError> {
        let networks = x_SBCHW.size()[0];
        // What belongs to channels lies side by side too.
        let flat = |tensors: &[Tensor]| tensors.iter().map(|tensor| tensor.f_flatten(0, 1)).collect::<Result<_, _>>();
        let parameters = Parameters { trainable: flat(&stacked.trainable)?, buffers: flat(&stacked.buffers)? };
        let stack = Stack { network: self, networks, parameters, mode };
        let mut buffers: Vec<Tensor> = stack.parameters.buffers.iter().map(Tensor::shallow_clone).collect();
        let maps = x_SBCHW.f_transpose(0, 1)?.f_flatten(1, 2)?;
        let logits = stack.way(self.features.iter().chain([&self.classifier]), &maps, &mut buffers)?;
        let buffers = buffers.iter().map(|buffer| buffer.f_view([networks, -1])).collect::<Result<_, _>>()?;
        Ok((logits, buffers))
    }
}

fn is_known(layer: &Layer) -> bool {
    match layer {
        Layer::Tokens(_) => false,
        Layer::Residual { body, shortcut } => body.iter().chain(shortcut).all(is_known),
        Layer::Gate(layers) | Layer::Stage(layers) => layers.iter().all(is_known),
        _ => true,
    }
}

/// The networks in one pass. Maps are \[B,S*C,H,W\]; after they are flattened, \[S,B,D\].
struct Stack<'a> {
    network: &'a Network,
    networks: i64,
    parameters: Parameters,
    mode: Mode,
}

impl Stack<'_> {
    fn way<'a>(
        &self,
        layers: impl IntoIterator<Item = &'a Layer>,
        x: &Tensor,
        buffers: &mut [Tensor],
    ) -> Result<Tensor, TchError> {
        layers.into_iter().try_fold(x.shallow_clone(), |x, layer| self.layer(layer, &x, buffers))
    }

    fn layer(&self, layer: &Layer, x: &Tensor, buffers: &mut [Tensor]) -> Result<Tensor, TchError> {
        let (weights, networks) = (&self.parameters.trainable, self.networks);
        match *layer {
            Layer::Convolution { at, kernel: Kernel { stride, padding, bias, groups, .. } } => {
                let bias = bias.then(|| &weights[at + 1]);
                x.f_conv2d(&weights[at], bias, [stride, stride], [padding, padding], [1, 1], groups * networks)
            }
            Layer::Norm { norm, at, buffer, shape } => self.norm(x, Place { norm, at, buffer, shape }, buffers),
            Layer::Residual { ref body, ref shortcut } => {
                let body = self.way(body, x, buffers)?;
                body.f_add(&self.way(shortcut, x, buffers)?)
            }
            Layer::Gate(ref factors) => x.f_mul(&self.way(factors, x, buffers)?),
            Layer::Stage(ref layers) => self.way(layers, x, buffers),
            Layer::Flatten => x.f_reshape([x.size()[0], networks, -1])?.f_transpose(0, 1),
            Layer::Linear { at } => {
                let weight_SOD = weights[at].f_reshape([networks, -1, x.size()[2]])?;
                let bias_S1O = weights[at + 1].f_view([networks, 1, -1])?;
                bias_S1O.f_baddbmm(x, &weight_SOD.f_transpose(1, 2)?, 1.0, 1.0)
            }
            Layer::Tokens(_) => Err(TchError::Torch("a transformer's layers cannot be stacked".into())),
            // Without parameters, every map and every number by itself.
            Layer::Activation(_)
            | Layer::Pool { .. }
            | Layer::OverlappingMax
            | Layer::SlidingMax
            | Layer::GlobalAverage => self.network.layer(layer, &self.parameters, x, self.mode, buffers),
        }
    }

    fn norm(&self, x: &Tensor, place: Place, buffers: &mut [Tensor]) -> Result<Tensor, TchError> {
        let [channels, height, width] = place.shape;
        let (weight, bias) = (&self.parameters.trainable[place.at], &self.parameters.trainable[place.at + 1]);
        let side_by_side = [channels * self.networks, height, width];
        match place.norm {
            Norm::Batch => {
                let mode = self.network.norm_mode(place.at, self.mode);
                normalise(x, &Place { shape: side_by_side, ..place }, &self.parameters, mode, buffers)
            }
            Norm::Group => per_groups(x, GROUPS * self.networks, Some(weight), Some(bias)),
            Norm::Layer => per_groups(x, self.networks, None, None)?.f_mul(weight)?.f_add(bias),
            norm => per_image(x, norm, side_by_side, Some(weight), Some(bias)),
        }
    }
}
