//! The forward pass, whole and in chunks that fit the processor's caches.
//!
//! Shapes: B batch, C channels, H rows, W columns, D embedding, K classes.

use super::{Chunk, Network, Parameters, vit};
use crate::network::layer::{Kernel, Layer};
use crate::network::normalise::{Place, normalise};
use crate::network::spec::Activation;
use crate::pieces::{self, Graph, Shared};
use tch::{Kind, TchError, Tensor};

/// Whether batch norms use the batch or the running statistics. No other layer makes a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Statistics of the batch; the running ones are updated.
    Train,
    /// Running statistics.
    Eval,
}

/// What a network computes from a batch.
#[derive(Debug)]
pub struct Output {
    /// \[B,K\], before any softmax.
    pub logits: Tensor,
    /// \[B,D\], the input of the last linear layer.
    pub embedding: Tensor,
    /// The running statistics afterwards, for the next call's [`Parameters::buffers`].
    pub buffers: Vec<Tensor>,
}

/// What a network computes before its last linear layer.
#[derive(Debug)]
pub struct Features {
    /// \[B,D\], the input of the last linear layer.
    pub embedding: Tensor,
    /// \[B,C,H,W\] each: the outputs of the activations, before pooling, first layer first; those of the linear part
    /// and those inside a residual block, before its sum, are left out. Of a network that is laid in stages, whose
    /// blocks do not end with activations, what leaves each stage, and the activations outside them. Empty unless asked
    /// for.
    pub activations: Vec<Tensor>,
    /// The running statistics afterwards.
    pub buffers: Vec<Tensor>,
}

impl Network {
    /// Logits and embedding of a batch \[B,C,H,W\].
    pub fn forward(&self, parameters: &Parameters, x_BCHW: &Tensor, mode: Mode) -> Result<Output, TchError> {
        self.forward_with_dropout(parameters, x_BCHW, mode, &[])
    }

    /// [`forward`](Self::forward) with the factors of [`dropout`](Self::dropout), by which the embedding is not multiplied.
    pub fn forward_with_dropout(
        &self,
        parameters: &Parameters,
        x_BCHW: &Tensor,
        mode: Mode,
        mut factors: &[Tensor],
    ) -> Result<Output, TchError> {
        let (embedding, buffers) = self.run(parameters, x_BCHW, mode, &mut factors, &mut |_| Ok(()))?;
        let logits = self.layer_with_dropout(&self.classifier, parameters, &embedding, mode, &mut [], &mut factors)?;
        Ok(Output { logits, embedding, buffers })
    }

    /// Embedding and activations of a batch; the last linear layer is not computed.
    pub fn features(&self, parameters: &Parameters, x_BCHW: &Tensor, mode: Mode) -> Result<Features, TchError> {
        let mut activations = Vec::new();
        let (embedding, buffers) = self.run(parameters, x_BCHW, mode, &mut [].as_slice(), &mut |activation| {
            activations.push(activation.shallow_clone());
            Ok(())
        })?;
        Ok(Features { embedding, activations, buffers })
    }

    /// What `map` makes of each of the [`Features::activations`], first layer first, and the embedding \[B,D\]. Without a
    /// graph no activation outlives its layer.
    pub fn mapped(
        &self,
        parameters: &Parameters,
        x_BCHW: &Tensor,
        mode: Mode,
        map: impl Fn(&Tensor) -> Result<Tensor, TchError>,
    ) -> Result<(Vec<Tensor>, Tensor), TchError> {
        let mut maps = Vec::new();
        let (embedding, _) = self.run(parameters, x_BCHW, mode, &mut [].as_slice(), &mut |activation| {
            maps.push(map(activation)?);
            Ok(())
        })?;
        Ok((maps, embedding))
    }

    /// The embedding \[B,D\] alone.
    pub fn embed(&self, parameters: &Parameters, x_BCHW: &Tensor, mode: Mode) -> Result<Tensor, TchError> {
        Ok(self.run(parameters, x_BCHW, mode, &mut [].as_slice(), &mut |_| Ok(()))?.0)
    }

    /// The last linear layer: logits \[B,K\] of an embedding \[B,D\].
    pub fn classify(&self, parameters: &Parameters, embedding_BD: &Tensor) -> Result<Tensor, TchError> {
        self.layer(&self.classifier, parameters, embedding_BD, Mode::Eval, &mut [])
    }

    /// Logits \[B,K\] in evaluation mode, without a graph, a chunk at a time. The same numbers as in one batch up to
    /// rounding, and less memory.
    pub fn forward_chunked(&self, parameters: &Parameters, x_BCHW: &Tensor, chunk: Chunk) -> Result<Tensor, TchError> {
        let parameters = Shared::new(parameters);
        in_pieces(x_BCHW, self.pieces(x_BCHW, chunk), |part| Ok(self.forward(&parameters, part, Mode::Eval)?.logits))
    }

    /// The embedding \[B,D\] without a graph, a chunk at a time. A network whose batch norms use the batch's
    /// statistics needs the batch whole, and gets it whole.
    pub fn embed_chunked(
        &self,
        parameters: &Parameters,
        x_BCHW: &Tensor,
        mode: Mode,
        chunk: Chunk,
    ) -> Result<Tensor, TchError> {
        if mode == Mode::Train && self.has_batch_statistics() {
            return tch::no_grad(|| self.embed(parameters, x_BCHW, mode)?.f_to_kind(x_BCHW.kind()));
        }
        let parameters = Shared::new(parameters);
        in_pieces(x_BCHW, self.pieces(x_BCHW, chunk), |part| self.embed(&parameters, part, mode))
    }

    /// Carries the layers out; `tap` gets each of the [`Features::activations`] as it passes. Of the factors of dropout those
    /// of the last linear layer are left.
    fn run(
        &self,
        parameters: &Parameters,
        x: &Tensor,
        mode: Mode,
        factors: &mut &[Tensor],
        tap: &mut dyn FnMut(&Tensor) -> Result<(), TchError>,
    ) -> Result<(Tensor, Vec<Tensor>), TchError> {
        let mut buffers: Vec<Tensor> = parameters.buffers.iter().map(Tensor::shallow_clone).collect();
        let mut x = x.f_to_kind(parameters.kind())?;
        for layer in &self.features {
            x = self.layer_with_dropout(layer, parameters, &x, mode, &mut buffers, factors)?;
            if layer.is_attention_tap() && x.dim() == 4 {
                tap(&x)?;
            }
        }
        Ok((x, buffers))
    }

    pub(super) fn layer(
        &self,
        layer: &Layer,
        parameters: &Parameters,
        x: &Tensor,
        mode: Mode,
        buffers: &mut [Tensor],
    ) -> Result<Tensor, TchError> {
        let weights = &parameters.trainable;
        match *layer {
            Layer::Convolution { at, kernel: Kernel { stride, padding, bias, groups, .. } } => {
                let bias = bias.then(|| &weights[at + 1]);
                x.f_conv2d(&weights[at], bias, [stride, stride], [padding, padding], [1, 1], groups)
            }
            Layer::Norm { norm, at, buffer, shape } => {
                normalise(x, &Place { norm, at, buffer, shape }, parameters, self.norm_mode(at, mode), buffers)
            }
            Layer::Activation(Activation::Relu) => x.f_relu(),
            Layer::Activation(Activation::Relu6) => x.f_relu6(),
            Layer::Activation(Activation::LeakyRelu) => x.f_leaky_relu(),
            Layer::Activation(Activation::Sigmoid) => x.f_sigmoid(),
            Layer::Activation(Activation::Swish) => x.f_silu(),
            Layer::Pool { pooling, size } => pooling.apply(x, size),
            Layer::OverlappingMax => x.f_max_pool2d([3, 3], [2, 2], [1, 1], [1, 1], false),
            Layer::SlidingMax => x.f_max_pool2d([2, 2], [1, 1], [0, 0], [1, 1], false),
            Layer::GlobalAverage => x.f_mean_dim([2i64, 3].as_slice(), true, None::<Kind>),
            Layer::Tokens(layer) => vit::forward(layer, weights, x),
            Layer::Residual { ref body, ref shortcut } => {
                let body = self.way(body, parameters, x, mode, buffers)?;
                body.f_add(&self.way(shortcut, parameters, x, mode, buffers)?)
            }
            Layer::Gate(ref factors) => x.f_mul(&self.way(factors, parameters, x, mode, buffers)?),
            Layer::Stage(ref layers) => self.way(layers, parameters, x, mode, buffers),
            // A view is not enough: crops of one-channel images are not contiguous.
            Layer::Flatten => x.f_reshape([x.size()[0], -1]),
            // A weight that is stored as a convolution 1x1 has two axes more.
            Layer::Linear { at } => x.f_linear(&weights[at].f_flatten(1, -1)?, Some(&weights[at + 1])),
        }
    }

    fn way(
        &self,
        layers: &[Layer],
        parameters: &Parameters,
        x: &Tensor,
        mode: Mode,
        buffers: &mut [Tensor],
    ) -> Result<Tensor, TchError> {
        layers.iter().try_fold(x.shallow_clone(), |x, layer| self.layer(layer, parameters, &x, mode, buffers))
    }
}

fn in_pieces(
    x: &Tensor,
    sizes: Vec<i64>,
    pass: impl Fn(&Tensor) -> Result<Tensor, TchError> + Sync,
) -> Result<Tensor, TchError> {
    tch::no_grad(|| {
        let parts = x.f_split_with_sizes(sizes, 0)?;
        let parts = pieces::map(x.device(), Graph::Without, parts, |part| pass(&part)?.f_to_kind(part.kind()))?;
        match &parts[..] {
            [only] => Ok(only.shallow_clone()),
            parts => Tensor::f_cat(parts, 0),
        }
    })
}
