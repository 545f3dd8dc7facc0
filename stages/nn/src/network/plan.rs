//! The plan of a network: its layers in order, and what follows from them, the list of parameters and the cost.
//! An architecture's file lays the layers; `forward.rs` carries them out.

use super::{
    NetworkError, NetworkSpec, ParameterKind, ParameterSpec, alexnet, cnn2, convnet, efficientnet, lenet, mlp, resnet,
    resnetv2, vgg, vit,
};
use crate::network::init::Convention;
use crate::network::layer::{Kernel, Layer};
use crate::network::spec::{Activation, Architecture, Norm, Pooling};

/// A network: a [`NetworkSpec`] laid out as layers. It has no weights of its own.
#[derive(Clone, Debug)]
pub struct Network {
    spec: NetworkSpec,
    parameters: Vec<ParameterSpec>,
    /// Which trainable parameters are constants; empty where none is.
    pub(super) frozen: Vec<bool>,
    pub(super) features: Vec<Layer>,
    pub(super) classifier: Layer,
    embedding: i64,
    multiply_adds: i64,
}

/// A network being laid out: follows the shape of one image through the layers.
pub(super) struct Plan {
    /// How what is laid from here on is stored and drawn.
    pub convention: Convention,
    pub(super) layers: Vec<Layer>,
    parameters: Vec<ParameterSpec>,
    image: [i64; 2],
    pub(super) shape: [i64; 3],
    multiply_adds: i64,
}

/// Names as the published `nn.Sequential` numbers its layers: `features.0`, `features.1`, and so on.
pub(super) fn numbered() -> impl FnMut() -> String {
    let mut count = 0;
    move || {
        count += 1;
        format!("features.{}", count - 1)
    }
}

impl Network {
    /// Lays out the network, or says why it cannot be.
    pub fn new(spec: &NetworkSpec) -> Result<Self, NetworkError> {
        let [height, width] = spec.image;
        let sizes = [("channels", spec.channels), ("rows", height), ("columns", width), ("classes", spec.classes)];
        if let Some(&(what, value)) = sizes.iter().find(|(_, size)| *size < 1) {
            return Err(NetworkError::OutOfRange { what, value });
        }
        let shape = [spec.channels, height, width];
        let mut plan = Plan::new(shape);
        let classifier_name = match spec.architecture {
            Architecture::ConvNet { width, depth, activation, norm, pooling } => {
                let channels = std::iter::repeat_n(width, depth.max(0) as usize);
                convnet::lay(&mut plan, channels, convnet::Settings { kernel: 3, activation, norm, pooling })?
            }
            Architecture::Cnn { ref channels, kernel, activation, norm, pooling } => {
                let settings = convnet::Settings { kernel, activation, norm, pooling };
                convnet::lay(&mut plan, channels.iter().copied(), settings)?
            }
            Architecture::Mlp => mlp::lay(&mut plan, 128),
            Architecture::Mlp784 => mlp::lay(&mut plan, 784),
            Architecture::Cnn2 => cnn2::lay(&mut plan)?,
            Architecture::LeNet => lenet::lay(&mut plan)?,
            Architecture::AlexNet { norm } => alexnet::lay(&mut plan, norm)?,
            Architecture::Vgg { depth, norm } => vgg::lay(&mut plan, depth, norm)?,
            Architecture::ViT { width, depth } => vit::lay(&mut plan, width, depth)?,
            Architecture::ResNet { depth, norm, downsampling } => resnet::lay(&mut plan, depth, norm, downsampling)?,
            Architecture::ResNetV2 => resnetv2::lay(&mut plan)?,
            Architecture::MobileNetV2 => efficientnet::lay_mobilenet(&mut plan)?,
            Architecture::EfficientNet => efficientnet::lay(&mut plan)?,
        };
        let embedding = plan.shape.iter().product();
        let classifier = plan.linear_layer(classifier_name, spec.classes);
        let Plan { layers: features, parameters, multiply_adds, .. } = plan;
        let (spec, frozen) = (spec.clone(), Vec::new());
        Ok(Network { spec, parameters, frozen, features, classifier, embedding, multiply_adds })
    }

    /// What was laid out.
    pub fn spec(&self) -> &NetworkSpec {
        &self.spec
    }

    /// Every entry of the state dict in order, running statistics included.
    pub fn parameters(&self) -> &[ParameterSpec] {
        &self.parameters
    }

    /// Length D of the embedding: the input of the last linear layer.
    pub fn embedding_size(&self) -> i64 {
        self.embedding
    }

    /// Floating-point operations of one image: 2 per multiply-add of convolutions and matrix products; biases, norms,
    /// activations and pooling are not counted.
    pub fn flops(&self) -> i64 {
        2 * self.multiply_adds
    }
}

impl Plan {
    fn new(shape @ [_, height, width]: [i64; 3]) -> Self {
        let (convention, image) = (Convention::Torch, [height, width]);
        Plan { convention, layers: Vec::new(), parameters: Vec::new(), image, shape, multiply_adds: 0 }
    }

    /// Channels so far.
    pub fn channels(&self) -> i64 {
        self.shape[0]
    }

    /// The shape of one image so far.
    pub fn shape(&self) -> [i64; 3] {
        self.shape
    }

    /// Places so far for parameters: of the trainable and of the buffers.
    fn places(&self) -> (usize, usize) {
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
        // Division rounds towards zero: a kernel larger than the padded image must not come out as one place.
        let places = |length: i64| (length + 2 * padding - size + stride).max(0) / stride;
        self.shrunk(name, places(height), places(width))?;
        self.shape[0] = out;
        let fan_in = channels / groups * size * size;
        let kinds = self.convention.convolution(fan_in, out / groups * size * size);
        let (at, _) = self.places();
        self.parameter(name, "weight", &[out, channels / groups, size, size], kinds.weight);
        if bias {
            self.parameter(name, "bias", &[out], kinds.bias);
        }
        self.multiply_adds += fan_in * self.shape.iter().product::<i64>();
        self.layers.push(Layer::Convolution { at, kernel });
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
        let (at, buffer) = self.places();
        self.parameter(name, "weight", affine, ParameterKind::NormWeight);
        self.parameter(name, "bias", affine, ParameterKind::NormBias);
        if norm == Norm::Batch {
            self.parameter(name, "running_mean", &channels, ParameterKind::RunningMean);
            self.parameter(name, "running_var", &channels, ParameterKind::RunningVar);
        }
        self.layers.push(Layer::Norm { norm, at, buffer, shape });
        Ok(())
    }

    /// A non-linearity.
    pub fn activation(&mut self, activation: Activation) {
        self.layers.push(Layer::Activation(activation));
    }

    /// Halves rows and columns, rounding down.
    pub fn pool(&mut self, name: &str, pooling: Pooling) -> Result<(), NetworkError> {
        self.pool_by(name, pooling, 2)
    }

    /// Divides rows and columns by `size`, rounding down.
    pub fn pool_by(&mut self, name: &str, pooling: Pooling, size: i64) -> Result<(), NetworkError> {
        if pooling != Pooling::None {
            self.shrunk(name, self.shape[1] / size, self.shape[2] / size)?;
            self.layers.push(Layer::Pool { pooling, size });
        }
        Ok(())
    }

    /// The largest of overlapping squares of 3x3, at every second place.
    pub fn overlapping_max(&mut self, name: &str) -> Result<(), NetworkError> {
        let places = |length: i64| (length - 1) / 2 + 1;
        self.shrunk(name, places(self.shape[1]), places(self.shape[2]))?;
        self.layers.push(Layer::OverlappingMax);
        Ok(())
    }

    /// The largest of squares of 2x2, at every place.
    pub fn sliding_max(&mut self, name: &str) -> Result<(), NetworkError> {
        self.shrunk(name, self.shape[1] - 1, self.shape[2] - 1)?;
        self.layers.push(Layer::SlidingMax);
        Ok(())
    }

    /// One mean for each map.
    pub fn global_average(&mut self) {
        self.shape = [self.shape[0], 1, 1];
        self.layers.push(Layer::GlobalAverage);
    }

    /// A transformer's layer, made by `lay` from the place of its first parameter, after which the shape is this one.
    pub fn on_tokens(
        &mut self,
        shape: [i64; 3],
        multiply_adds: i64,
        lay: impl FnOnce(&mut Self, usize) -> vit::TokenLayer,
    ) {
        let (at, _) = self.places();
        let layer = lay(self, at);
        self.layers.push(Layer::Tokens(layer));
        self.multiply_adds += multiply_adds;
        self.shape = shape;
    }

    /// From images to vectors.
    pub fn flatten(&mut self) {
        self.shape = [self.shape.iter().product(), 1, 1];
        self.layers.push(Layer::Flatten);
    }

    /// A linear layer with bias.
    pub fn linear(&mut self, name: &str, outputs: i64) {
        let layer = self.linear_layer(name, outputs);
        self.layers.push(layer);
    }

    fn linear_layer(&mut self, name: &str, outputs: i64) -> Layer {
        let fan_in = self.shape.iter().product();
        let (at, _) = self.places();
        let (shape, kinds) = self.convention.linear(fan_in, outputs);
        self.parameter(name, "weight", &shape, kinds.weight);
        self.parameter(name, "bias", &[outputs], kinds.bias);
        self.multiply_adds += fan_in * outputs;
        self.shape = [outputs, 1, 1];
        Layer::Linear { at }
    }
}
