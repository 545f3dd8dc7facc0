//! The builder that architectures add their layers to. It follows the shape of one image through the layers and collects
//! their parameters and their cost.

use super::init::InitScheme;
use super::layer::{Kernel, Layer, TokenLayer};
use super::spec::{Activation, Norm, Pooling};
use super::{NetworkError, ParameterKind, ParameterSpec};

/// A network that is being built.
pub(super) struct Builder {
    /// How the weights of the layers that follow are initialised and stored.
    pub scheme: InitScheme,
    pub(super) layers: Vec<Layer>,
    pub(super) parameters: Vec<ParameterSpec>,
    image: [i64; 2],
    pub(super) shape: [i64; 3],
    pub(super) multiply_adds: i64,
    pub(super) values: Values,
    /// Values of one image that the next layer reads.
    read: i64,
    /// The first layer that normalises maps of one pixel by instance, which makes all of them zero.
    pub(super) constant_norm: Option<String>,
}

/// How many values one image has within a network.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Values {
    /// What all layers give.
    pub all: i64,
    /// The most that goes into and comes out of one layer.
    pub largest: i64,
}

/// Names as the published `nn.Sequential` numbers its layers: `features.0`, `features.1`, and so on.
pub(super) fn numbered() -> impl FnMut() -> String {
    let mut count = 0;
    move || {
        count += 1;
        format!("features.{}", count - 1)
    }
}

impl Builder {
    pub(super) fn new(shape @ [_, height, width]: [i64; 3]) -> Self {
        let (scheme, image) = (InitScheme::Torch, [height, width]);
        let (values, read) = (Values::default(), shape.iter().product());
        let (layers, parameters, constant_norm) = (Vec::new(), Vec::new(), None);
        Builder { scheme, layers, parameters, image, shape, multiply_adds: 0, values, read, constant_norm }
    }

    /// Adds a layer; `shape` is that of what it gives.
    pub(super) fn push(&mut self, layer: Layer) {
        let given = self.shape.iter().product();
        self.values.all += given;
        self.values.largest = self.values.largest.max(self.read + given);
        self.read = given;
        self.layers.push(layer);
    }

    /// Channels so far.
    pub fn channels(&self) -> i64 {
        self.shape[0]
    }

    /// The shape of one image so far.
    pub fn shape(&self) -> [i64; 3] {
        self.shape
    }

    /// Numbers of trainable parameters and of buffers so far.
    fn counts(&self) -> (usize, usize) {
        let buffers = self.parameters.iter().filter(|parameter| parameter.kind.is_buffer()).count();
        (self.parameters.len() - buffers, buffers)
    }

    /// Adds a parameter `name.end`.
    pub fn parameter(&mut self, name: &str, end: &str, shape: &[i64], kind: ParameterKind) {
        self.parameters.push(ParameterSpec { name: format!("{name}.{end}"), shape: shape.to_vec(), kind });
    }

    fn shrunk(&mut self, layer: &str, height: i64, width: i64) -> Result<(), NetworkError> {
        let [channels, before_height, before_width] = self.shape;
        if height < 1 || width < 1 {
            return Err(NetworkError::ImageTooSmall {
                layer: layer.into(),
                image: self.image,
                left: [before_height, before_width],
            });
        }
        self.shape = [channels, height, width];
        Ok(())
    }

    /// A convolution with bias, stride 1.
    pub fn convolution(&mut self, name: &str, out: i64, size: i64, padding: i64) -> Result<(), NetworkError> {
        self.convolve(name, out, Kernel { padding, ..Kernel::new(size, 1).with_bias() })
    }

    /// A convolution.
    pub fn convolve(&mut self, name: &str, out: i64, kernel: Kernel) -> Result<(), NetworkError> {
        let Kernel { size, stride, padding, bias, groups } = kernel;
        let [channels, height, width] = self.shape;
        // Division rounds towards zero: a kernel larger than the padded image must not come out with a size of one.
        let spatial = |length: i64| (length + 2 * padding - size + stride).max(0) / stride;
        self.shrunk(name, spatial(height), spatial(width))?;
        self.shape[0] = out;
        let fan_in = channels / groups * size * size;
        let kinds = self.scheme.convolution(fan_in, out / groups * size * size);
        let (at, _) = self.counts();
        self.parameter(name, "weight", &[out, channels / groups, size, size], kinds.weight);
        if bias {
            self.parameter(name, "bias", &[out], kinds.bias);
        }
        self.multiply_adds += fan_in * self.shape.iter().product::<i64>();
        self.push(Layer::Convolution { at, kernel });
        Ok(())
    }

    /// A norm with weight and bias per channel (layer norm: per element).
    pub fn norm(&mut self, name: &str, norm: Norm) -> Result<(), NetworkError> {
        let shape = self.shape;
        let channels = [shape[0]];
        let affine: &[i64] = match norm {
            Norm::None => return Ok(()),
            Norm::Layer => &shape,
            Norm::Group if shape[0] % super::normalise::GROUPS != 0 => {
                return Err(NetworkError::Groups { width: shape[0], groups: super::normalise::GROUPS });
            }
            Norm::Instance | Norm::Batch | Norm::Group => &channels,
        };
        if norm == Norm::Instance && shape[1] * shape[2] == 1 {
            self.constant_norm.get_or_insert_with(|| name.to_string());
        }
        let (at, buffer) = self.counts();
        self.parameter(name, "weight", affine, ParameterKind::NormWeight);
        self.parameter(name, "bias", affine, ParameterKind::NormBias);
        if norm == Norm::Batch {
            self.parameter(name, "running_mean", &channels, ParameterKind::RunningMean);
            self.parameter(name, "running_var", &channels, ParameterKind::RunningVar);
        }
        self.push(Layer::Norm { norm, at, buffer, shape });
        Ok(())
    }

    /// A non-linearity.
    pub fn activation(&mut self, activation: Activation) {
        self.push(Layer::Activation(activation));
    }

    /// Halves rows and columns, rounding down.
    pub fn pool(&mut self, name: &str, pooling: Pooling) -> Result<(), NetworkError> {
        self.pool_by(name, pooling, 2)
    }

    /// Divides rows and columns by `size`, rounding down.
    pub fn pool_by(&mut self, name: &str, pooling: Pooling, size: i64) -> Result<(), NetworkError> {
        if pooling != Pooling::None {
            self.shrunk(name, self.shape[1] / size, self.shape[2] / size)?;
            self.push(Layer::Pool { pooling, size });
        }
        Ok(())
    }

    /// The largest of overlapping squares of 3x3, at every second place.
    pub fn overlapping_max(&mut self, name: &str) -> Result<(), NetworkError> {
        let spatial = |length: i64| (length - 1) / 2 + 1;
        self.shrunk(name, spatial(self.shape[1]), spatial(self.shape[2]))?;
        self.push(Layer::OverlappingMax);
        Ok(())
    }

    /// The largest of squares of 2x2, at every place.
    pub fn sliding_max(&mut self, name: &str) -> Result<(), NetworkError> {
        self.shrunk(name, self.shape[1] - 1, self.shape[2] - 1)?;
        self.push(Layer::SlidingMax);
        Ok(())
    }

    /// One mean for each map.
    pub fn global_average(&mut self) {
        self.shape = [self.shape[0], 1, 1];
        self.push(Layer::GlobalAverage);
    }

    /// A layer of a transformer, made by `build` from the position of its first parameter; `shape` is the shape after it.
    pub fn on_tokens(
        &mut self,
        shape: [i64; 3],
        multiply_adds: i64,
        build: impl FnOnce(&mut Self, usize) -> TokenLayer,
    ) {
        let (at, _) = self.counts();
        let layer = build(self, at);
        self.multiply_adds += multiply_adds;
        self.shape = shape;
        self.push(Layer::Tokens(layer));
    }

    /// Flattens \[B,C,H,W\] to \[B,D\].
    pub fn flatten(&mut self) {
        self.shape = [self.shape.iter().product(), 1, 1];
        self.push(Layer::Flatten);
    }

    /// A linear layer with bias.
    pub fn linear(&mut self, name: &str, outputs: i64) {
        let layer = self.linear_layer(name, outputs);
        self.push(layer);
    }

    pub(super) fn linear_layer(&mut self, name: &str, outputs: i64) -> Layer {
        let fan_in = self.shape.iter().product();
        let (at, _) = self.counts();
        let (shape, kinds) = self.scheme.linear(fan_in, outputs);
        self.parameter(name, "weight", &shape, kinds.weight);
        self.parameter(name, "bias", &[outputs], kinds.bias);
        self.multiply_adds += fan_in * outputs;
        self.shape = [outputs, 1, 1];
        Layer::Linear { at }
    }
}
