//! Fresh weights from an explicit random stream, distributed as PyTorch's layers are by default.

use super::{Network, ParameterKind, Parameters};
use rand::Rng;
use tch::{Device, TchError, Tensor};

impl Network {
    /// Weights and biases uniform in ±1/√fan_in (what `kaiming_uniform_` with a = √5 comes to), embeddings in ±1/√width,
    /// norms at 1 and 0.
    /// The numbers are drawn on the CPU, in the order of the parameters, so that they do not depend on the device.
    pub fn init(&self, stream: &mut impl Rng, device: Device) -> Result<Parameters, TchError> {
        let mut parameters = Parameters { trainable: Vec::new(), buffers: Vec::new() };
        for spec in self.parameters() {
            let count = spec.numel() as usize;
            let values: Vec<f32> = match spec.kind {
                ParameterKind::Weight { fan_in: scale }
                | ParameterKind::Bias { fan_in: scale }
                | ParameterKind::Embedding { width: scale } => {
                    let bound = 1.0 / (scale as f32).sqrt();
                    (0..count).map(|_| bound * (2.0 * stream.random::<f32>() - 1.0)).collect()
                }
                ParameterKind::NormWeight | ParameterKind::RunningVar => vec![1.0; count],
                ParameterKind::NormBias | ParameterKind::RunningMean => vec![0.0; count],
            };
            let tensor = Tensor::f_from_slice(&values)?.f_view(spec.shape.as_slice())?.f_to_device(device)?;
            let list = if spec.kind.is_buffer() { &mut parameters.buffers } else { &mut parameters.trainable };
            list.push(tensor);
        }
        Ok(parameters)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::{NetworkSpec, Norm, Overrides};
    use super::*;
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
    fn the_same_stream_gives_the_same_weights_and_another_gives_others() {
        let network = batch_norm_network();
        let draw = |seed| network.init(&mut rand_chacha::ChaCha8Rng::seed_from_u64(seed), Device::Cpu).unwrap().flat();
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}
