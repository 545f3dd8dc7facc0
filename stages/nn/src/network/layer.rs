//! The layers that networks are made of. `builder.rs` adds them with their parameters, `forward.rs` carries them out.

use crate::network::spec::{Activation, Norm, Pooling};

/// One layer. Its parameters are given by their position in [`super::Parameters`].
#[derive(Clone, Debug)]
pub(super) enum Layer {
    /// Weight at `at`, the bias, if it has one, at `at + 1`.
    Convolution { at: usize, kernel: Kernel },
    /// Weight and bias at `at`, `at + 1`; running mean and variance, of a batch norm, at `buffer`, `buffer + 1`.
    Norm { norm: Norm, at: usize, buffer: usize, shape: [i64; 3] },
    /// The non-linearity; its outputs are what attention is computed from.
    Activation(Activation),
    /// Over squares of `size` that do not overlap.
    Pool { pooling: Pooling, size: i64 },
    /// The largest of squares of 3x3 that overlap: stride 2, padding 1.
    OverlappingMax,
    /// The largest of squares of 2x2 at every place: stride 1, no padding.
    SlidingMax,
    /// \[B,C,H,W\] to \[B,C,1,1\], the mean of each map.
    GlobalAverage,
    /// The sum of two ways; the second has no layers where the input itself is added.
    Residual { body: Vec<Layer>, shortcut: Vec<Layer> },
    /// The input times the factors \[B,C,1,1\] that these layers make of it.
    Gate(Vec<Layer>),
    /// Layers of which attention sees the output alone.
    Stage(Vec<Layer>),
    /// One of a transformer's.
    Tokens(TokenLayer),
    /// \[B,C,H,W\] to \[B,D\], row-major.
    Flatten,
    /// Weight and bias at `at`, `at + 1`.
    Linear { at: usize },
}

impl Layer {
    /// Whether attention is computed from its outputs, where they are maps.
    pub fn is_attention_tap(&self) -> bool {
        matches!(self, Layer::Activation(_) | Layer::Stage(_))
    }
}

/// A convolution's square kernel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kernel {
    pub size: i64,
    pub stride: i64,
    pub padding: i64,
    pub bias: bool,
    /// Channels are cut into so many groups, in and out, and each is convolved by itself.
    pub groups: i64,
}

impl Kernel {
    /// Without bias, padded so that with stride 1 the maps keep their size.
    pub fn new(size: i64, stride: i64) -> Self {
        Kernel { size, stride, padding: size / 2, bias: false, groups: 1 }
    }

    /// The same with bias.
    pub fn with_bias(self) -> Self {
        Kernel { bias: true, ..self }
    }
}

/// A layer on tokens \[B,T,D\]. Its parameters start at `at`.
#[derive(Clone, Copy, Debug)]
pub(super) enum TokenLayer {
    /// From \[B,D,H,W\]: the class token before the patches, and positions added to all.
    Embed { at: usize },
    /// Layer norm over D.
    Norm { at: usize },
    /// Every token asks all others: softmax(Q Kᵀ / √S) V, for each head, and a linear layer.
    Attention { at: usize },
    /// Linear, GELU, linear.
    Perceptron { at: usize },
    /// The class token alone, \[B,D\].
    ClassToken,
}
