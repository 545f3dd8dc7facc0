//! The parameters of a network: what there is (names and shapes, in the order of the published state dicts) and the
//! values. Trainable parameters and running statistics are kept apart, because only the former have gradients.

use super::{Network, NetworkError};
use std::collections::BTreeMap;
use tch::{Device, Kind, Tensor};

/// What a parameter is for; decides its initialisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterKind {
    /// Of a convolution or linear layer.
    Weight {
        /// Inputs per output.
        fan_in: i64,
    },
    /// Of a convolution or linear layer.
    Bias {
        /// Inputs per output of the layer's weight.
        fan_in: i64,
    },
    /// A vector of `width` for a token or a place, learnt as it is.
    Embedding {
        /// Its length.
        width: i64,
    },
    /// Of a convolution, drawn by what it feeds instead of what feeds it.
    Filter {
        /// Outputs per input and place of the kernel, times the places.
        fan_out: i64,
    },
    /// Of a last linear layer, bounded by the number of its outputs.
    Readout {
        /// Number of classes.
        outputs: i64,
    },
    /// Of a last linear layer that starts near zero.
    SmallReadout,
    /// A bias that starts at zero.
    ZeroBias,
    /// The factor of a norm.
    NormWeight,
    /// The summand of a norm.
    NormBias,
    /// A batch norm's running mean: a buffer, not trained.
    RunningMean,
    /// A batch norm's running variance: a buffer, not trained.
    RunningVar,
}

impl ParameterKind {
    /// Whether it is a running statistic and not trained.
    pub fn is_buffer(self) -> bool {
        matches!(self, ParameterKind::RunningMean | ParameterKind::RunningVar)
    }
}

/// One entry of a network's state dict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterSpec {
    /// Its name in the published state dicts, `features.0.weight`.
    pub name: String,
    /// Its shape.
    pub shape: Vec<i64>,
    /// What it is for.
    pub kind: ParameterKind,
}

impl ParameterSpec {
    /// Number of elements.
    pub fn numel(&self) -> i64 {
        self.shape.iter().product()
    }
}

/// Values for all parameters of a network. Both lists are in the order of [`Network::parameters`].
#[derive(Debug)]
pub struct Parameters {
    /// What is trained.
    pub trainable: Vec<Tensor>,
    /// Running statistics of batch norms; empty for every other network.
    pub buffers: Vec<Tensor>,
}

// SAFETY: it holds tensors only; see `Shared`.
unsafe impl crate::pieces::Readable for Parameters {}

impl Clone for Parameters {
    /// The same values under new names; no tensor is copied.
    fn clone(&self) -> Self {
        let share = |tensors: &[Tensor]| tensors.iter().map(Tensor::shallow_clone).collect();
        Parameters { trainable: share(&self.trainable), buffers: share(&self.buffers) }
    }
}

impl Parameters {
    /// The values as leaves of a new graph, with gradients for the trainable ones.
    pub fn tracked(&self) -> Self {
        let leaf = |tensor: &Tensor| tensor.detach().set_requires_grad(true);
        Parameters { trainable: self.trainable.iter().map(leaf).collect(), ..self.detached() }
    }

    /// The values without a graph.
    pub fn detached(&self) -> Self {
        let detach = |tensors: &[Tensor]| tensors.iter().map(Tensor::detach).collect();
        Parameters { trainable: detach(&self.trainable), buffers: detach(&self.buffers) }
    }

    /// The values on a device.
    pub fn to_device(&self, device: Device) -> Self {
        let moved = |tensors: &[Tensor]| tensors.iter().map(|tensor| tensor.to_device(device)).collect();
        Parameters { trainable: moved(&self.trainable), buffers: moved(&self.buffers) }
    }

    /// The values in another precision.
    pub fn to_kind(&self, kind: Kind) -> Self {
        let rounded = |tensors: &[Tensor]| tensors.iter().map(|tensor| tensor.to_kind(kind)).collect();
        Parameters { trainable: rounded(&self.trainable), buffers: rounded(&self.buffers) }
    }

    /// The precision that a network computes in with these values.
    pub fn kind(&self) -> Kind {
        self.trainable.first().map_or(Kind::Float, Tensor::kind)
    }

    /// All trainable values in one vector \[P\], row-major, in order.
    pub fn flat(&self) -> Tensor {
        let flat: Vec<_> = self.trainable.iter().map(|tensor| tensor.reshape([-1])).collect();
        Tensor::cat(&flat, 0)
    }
}

impl Network {
    /// Names and shapes of the trainable parameters, in order.
    pub fn trainable(&self) -> impl Iterator<Item = &ParameterSpec> {
        self.parameters().iter().filter(|parameter| !parameter.kind.is_buffer())
    }

    /// Names and shapes of the running statistics, in order.
    pub fn buffers(&self) -> impl Iterator<Item = &ParameterSpec> {
        self.parameters().iter().filter(|parameter| parameter.kind.is_buffer())
    }

    /// Number of trainable numbers.
    pub fn parameter_count(&self) -> i64 {
        self.trainable().map(ParameterSpec::numel).sum()
    }

    /// The values of one flat vector \[P\] as views of it, so that gradients flow back into the vector.
    pub fn unflatten(&self, flat_P: &Tensor) -> Result<Vec<Tensor>, NetworkError> {
        let expected = vec![self.parameter_count()];
        if flat_P.size() != expected {
            return Err(NetworkError::Shape { name: "flat parameters".into(), got: flat_P.size(), expected });
        }
        let sizes: Vec<i64> = self.trainable().map(ParameterSpec::numel).collect();
        let parts = flat_P.f_split_with_sizes(&sizes, 0)?;
        parts.iter().zip(self.trainable()).map(|(part, spec)| Ok(part.f_view(spec.shape.as_slice())?)).collect()
    }

    /// The state dict: every parameter and running statistic by name, in order.
    pub fn state_dict(&self, parameters: &Parameters) -> Vec<(String, Tensor)> {
        let (mut trainable, mut buffers) = (parameters.trainable.iter(), parameters.buffers.iter());
        let value = |spec: &ParameterSpec| {
            let tensor = if spec.kind.is_buffer() { buffers.next() } else { trainable.next() };
            tensor.map(|tensor| (spec.name.clone(), tensor.shallow_clone()))
        };
        self.parameters().iter().filter_map(value).collect()
    }

    /// Takes a state dict apart. Names and shapes have to be exactly this network's; `num_batches_tracked`, which
    /// other programs write, is passed over.
    pub fn load(&self, state: &BTreeMap<String, Tensor>) -> Result<Parameters, NetworkError> {
        let mut parameters = Parameters { trainable: Vec::new(), buffers: Vec::new() };
        for spec in self.parameters() {
            let tensor = state.get(&spec.name).ok_or_else(|| NetworkError::MissingTensor(spec.name.clone()))?;
            if tensor.size() != spec.shape {
                let (name, got, expected) = (spec.name.clone(), tensor.size(), spec.shape.clone());
                return Err(NetworkError::Shape { name, got, expected });
            }
            let list = if spec.kind.is_buffer() { &mut parameters.buffers } else { &mut parameters.trainable };
            list.push(tensor.shallow_clone());
        }
        let ours = |name: &str| self.parameters().iter().any(|spec| spec.name == name);
        match state.keys().find(|name| !ours(name) && !name.ends_with("num_batches_tracked")) {
            Some(surplus) => Err(NetworkError::SurplusTensor(surplus.clone())),
            None => Ok(parameters),
        }
    }
}
