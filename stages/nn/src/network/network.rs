//! A network: its layers in order, and what follows from them, the list of parameters and the cost. An architecture's file
//! adds the layers through a [`Builder`]; `forward.rs` carries them out.

use super::builder::{Builder, Values};
use super::layer::Layer;
use super::{NetworkError, NetworkSpec, ParameterSpec};

/// A network: the layers that a [`NetworkSpec`] describes. It has no weights of its own.
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
    pub(super) values: Values,
}

impl Network {
    /// Builds the network, or says why it cannot be built.
    pub fn new(spec: &NetworkSpec) -> Result<Self, NetworkError> {
        let [height, width] = spec.image;
        let sizes = [("channels", spec.channels), ("rows", height), ("columns", width), ("classes", spec.classes)];
        if let Some(&(what, value)) = sizes.iter().find(|(_, size)| *size < 1) {
            return Err(NetworkError::OutOfRange { what, value });
        }
        let shape = [spec.channels, height, width];
        let mut builder = Builder::new(shape);
        let classifier_name = spec.architecture.build(&mut builder)?;
        if let Some(layer) = builder.constant_norm.take() {
            return Err(NetworkError::ConstantNorm { layer });
        }
        let embedding = builder.shape.iter().product();
        let classifier = builder.linear_layer(classifier_name, spec.classes);
        let Builder { layers: features, parameters, multiply_adds, values, .. } = builder;
        let (spec, frozen) = (spec.clone(), Vec::new());
        Ok(Network { spec, parameters, frozen, features, classifier, embedding, multiply_adds, values })
    }

    /// What was built.
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
