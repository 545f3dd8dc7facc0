//! Fresh weights from an explicit random stream, distributed as PyTorch's layers are by default or as the published
//! definition of a family has it.

use super::{Network, ParameterKind, Parameters};
use crate::transfer::{Parcel, Place, Sent};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use tch::{Device, Kind, TchError, Tensor};

/// Deviation of the last layer of a ResNetV2.
const SMALL: f32 = 0.01;

/// How the published definition of a family draws its first weights, and stores its last layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InitScheme {
    /// PyTorch's defaults: everything uniform in ±1/√fan_in.
    Torch,
    /// timm's EfficientNet and MobileNetV2: convolutions normal with variance 2/fan_out, of which each group has its own;
    /// the last layer uniform in ±1/√classes; biases 0.
    EfficientNet,
    /// timm's ResNetV2: convolutions likewise; the last layer normal with deviation 0.01 and stored as a convolution 1x1;
    /// biases 0.
    ResNetV2,
}

/// Kinds of the two parameters of a layer.
pub(super) struct Kinds {
    pub weight: ParameterKind,
    pub bias: ParameterKind,
}

impl InitScheme {
    /// Of a convolution with so many inputs per output and outputs per input.
    pub fn convolution(self, fan_in: i64, fan_out: i64) -> Kinds {
        match self {
            InitScheme::Torch => {
                Kinds { weight: ParameterKind::Weight { fan_in }, bias: ParameterKind::Bias { fan_in } }
            }
            InitScheme::EfficientNet | InitScheme::ResNetV2 => {
                Kinds { weight: ParameterKind::Filter { fan_out }, bias: ParameterKind::ZeroBias }
            }
        }
    }

    /// The shape of a linear layer's weight, and the kinds.
    pub fn linear(self, fan_in: i64, outputs: i64) -> (Vec<i64>, Kinds) {
        let (square, weight, bias) = match self {
            InitScheme::Torch => (0, ParameterKind::Weight { fan_in }, ParameterKind::Bias { fan_in }),
            InitScheme::EfficientNet => (0, ParameterKind::Readout { outputs }, ParameterKind::ZeroBias),
            InitScheme::ResNetV2 => (2, ParameterKind::SmallReadout, ParameterKind::ZeroBias),
        };
        let shape = [outputs, fan_in].into_iter().chain(std::iter::repeat_n(1, square)).collect();
        (shape, Kinds { weight, bias })
    }
}

impl Network {
    /// Weights and biases uniform in ±1/√fan_in (what `kaiming_uniform_` with a = √5 comes to), embeddings in ±1/√width,
    /// norms at 1 and 0; other weights as their kind says.
    /// The numbers are drawn on the CPU, in the order of the parameters, so that they do not depend on the device.
    pub fn init(&self, stream: &mut impl Rng, device: Device) -> Result<Parameters, TchError> {
        let mut parcel = Parcel::default();
        let drawn = self.draw(stream, &mut parcel);
        self.drawn(&drawn, &parcel.send(device), device)
    }

    /// Fresh trainable parameters, put into a parcel in their order; for [`drawn`](Self::drawn).
    pub fn draw(&self, stream: &mut impl Rng, parcel: &mut Parcel) -> Vec<Place> {
        let mut places = Vec::new();
        for spec in self.parameters() {
            let count = spec.numel() as usize;
            let values: Vec<f32> = match spec.kind {
                ParameterKind::Weight { fan_in: scale }
                | ParameterKind::Bias { fan_in: scale }
                | ParameterKind::Embedding { width: scale }
                | ParameterKind::Readout { outputs: scale } => {
                    let bound = 1.0 / (scale as f32).sqrt();
                    (0..count).map(|_| bound * (2.0 * stream.random::<f32>() - 1.0)).collect()
                }
                ParameterKind::Filter { fan_out } => normal(stream, (2.0 / fan_out as f32).sqrt(), count),
                ParameterKind::SmallReadout => normal(stream, SMALL, count),
                ParameterKind::NormWeight => vec![1.0; count],
                ParameterKind::NormBias | ParameterKind::ZeroBias => vec![0.0; count],
                ParameterKind::RunningMean | ParameterKind::RunningVar => continue,
            };
            places.push(parcel.add(&values));
        }
        places
    }

    /// The parameters that were drawn, once their parcel is sent, with the running statistics of a fresh network.
    pub fn drawn(&self, drawn: &[Place], sent: &Sent, device: Device) -> Result<Parameters, TchError> {
        let trainable = drawn.iter().zip(self.trainable());
        let trainable = trainable.map(|(place, spec)| sent.get(*place).f_view(spec.shape.as_slice()));
        let buffers = self.buffers().map(|spec| match spec.kind {
            ParameterKind::RunningVar => Tensor::f_ones(spec.shape.as_slice(), (Kind::Float, device)),
            _ => Tensor::f_zeros(spec.shape.as_slice(), (Kind::Float, device)),
        });
        Ok(Parameters {
            trainable: trainable.collect::<Result<_, TchError>>()?,
            buffers: buffers.collect::<Result<_, TchError>>()?,
        })
    }
}

fn normal(stream: &mut impl Rng, deviation: f32, count: usize) -> Vec<f32> {
    let standard = StandardNormal.sample_iter(stream);
    standard.take(count).map(|value: f32| deviation * value).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::network::{NetworkSpec, Norm, Overrides};
    use rand::SeedableRng;

    fn batch_norm_network() -> Network {
        let overrides = Overrides { norm: Some(Norm::Batch), width: Some(32), ..Overrides::default() };
        Network::new(&NetworkSpec::named("convnet2", &overrides, 3, [16, 16], 5).unwrap()).unwrap()
    }

    #[test]
    fn weights_fill_their_interval_and_norms_start_neutral() {
        let network = batch_norm_network();
        let mut stream = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        let parameters = network.init(&mut stream, Device::Cpu).unwrap();
        let number = |tensor: Tensor| f64::try_from(tensor).unwrap();
        for (spec, tensor) in network.trainable().zip(&parameters.trainable) {
            assert_eq!(tensor.size(), spec.shape, "{}", spec.name);
            let (low, high) = (number(tensor.min()), number(tensor.max()));
            match spec.kind {
                ParameterKind::Weight { fan_in } => {
                    let bound = 1.0 / (fan_in as f64).sqrt();
                    assert!(low >= -bound && low < -0.95 * bound, "{}: {low}", spec.name);
                    assert!(high <= bound && high > 0.95 * bound, "{}: {high}", spec.name);
                }
                ParameterKind::Bias { fan_in } => assert!(high.abs().max(low.abs()) <= 1.0 / (fan_in as f64).sqrt()),
                ParameterKind::NormWeight => assert_eq!((low, high), (1.0, 1.0)),
                _ => assert_eq!((low, high), (0.0, 0.0)),
            }
        }
        assert_eq!(parameters.buffers.len(), 4);
        assert_eq!(number(parameters.buffers[0].abs().max()), 0.0);
        assert_eq!(number(parameters.buffers[1].min()), 1.0);
    }

    #[test]
    fn published_families_draw_their_convolutions_by_fan_out() {
        let number = |tensor: Tensor| f64::try_from(tensor).unwrap();
        for (name, readout) in
            [("resnetv2_50", 0.01), ("mobilenetv2_100", 0.5 / 3f64.sqrt()), ("efficientnet_b0", 0.5 / 3f64.sqrt())]
        {
            let network =
                Network::new(&NetworkSpec::named(name, &Overrides::default(), 3, [32, 32], 4).unwrap()).unwrap();
            let mut stream = rand_chacha::ChaCha8Rng::seed_from_u64(4);
            let parameters = network.init(&mut stream, Device::Cpu).unwrap();
            let mut seen = 0;
            for (spec, tensor) in network.trainable().zip(&parameters.trainable) {
                let expected = match spec.shape.as_slice() {
                    [4, _, ..] if spec.name.starts_with("classifier") || spec.name.starts_with("head") => readout,
                    // Every channel of a depthwise convolution is a group of one output.
                    &[_, 1, rows, columns] if rows > 1 => (2.0 / (rows * columns) as f64).sqrt(),
                    &[outputs, _, rows, columns] => (2.0 / (outputs * rows * columns) as f64).sqrt(),
                    _ => continue,
                };
                let deviation = number(tensor.square().mean(tch::Kind::Double).sqrt());
                // Of n draws, the deviation is off by a share of about 1/√2n; five times that is never seen.
                let share = 5.0 / (2.0 * spec.numel() as f64).sqrt();
                assert!(
                    (deviation / expected - 1.0).abs() < share,
                    "{name}, {}: {deviation}, not {expected}",
                    spec.name
                );
                seen += 1;
            }
            assert!(seen > 50, "{name}: {seen}");
            let biases = network.trainable().zip(&parameters.trainable).filter(|(spec, _)| spec.name.ends_with("bias"));
            assert!(biases.map(|(_, bias)| number(bias.abs().max())).all(|largest| largest == 0.0), "{name}");
        }
    }

    #[test]
    fn the_same_stream_gives_the_same_weights_and_another_gives_others() {
        let network = batch_norm_network();
        let draw = |seed| network.init(&mut rand_chacha::ChaCha8Rng::seed_from_u64(seed), Device::Cpu).unwrap().flat();
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}
