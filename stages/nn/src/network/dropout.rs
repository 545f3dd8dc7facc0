//! Dropout in a training: before a linear layer a share of the values that it reads is set to zero, drawn anew for every
//! image and step, and the others are divided by the share that is kept, so that a test needs no change (after Srivastava
//! et al., JMLR 2014, section 4). It stands before every linear layer but one that reads the image itself and those within
//! a block or a transformer. Which values are kept comes in beside the images, as factors. Knows no step and no seed: a
//! training draws.

use super::layer::Layer;
use super::{Network, Parameters};
use crate::network::forward::Mode;
use crate::stream::Stream;
use tch::{Device, Kind, TchError, Tensor};

impl Network {
    /// How many values each of the linear layers reads that dropout stands before, first layer first.
    pub fn dropout_sizes(&self) -> Vec<i64> {
        let weights: Vec<_> = self.trainable().collect();
        let size = |layer: &Layer| {
            let weight = dropout_before(layer).and_then(|at| weights.get(at))?;
            Some(weight.numel() / weight.shape[0])
        };
        self.features.iter().chain([&self.classifier]).filter_map(size).collect()
    }

    /// The factors by which dropout multiplies what the layers of [`dropout_sizes`](Self::dropout_sizes) read, \[B,D\] for
    /// each: 0 for the share `rate` of the values, 1 / (1 - `rate`) for the others.
    pub fn dropout(
        &self,
        rate: f64,
        images: i64,
        stream: &mut Stream,
        device: Device,
    ) -> Result<Vec<Tensor>, TchError> {
        let draw = |size: i64| {
            let kept = stream.uniform_tensor(&[images, size], 0.0, 1.0).f_ge(rate)?;
            kept.f_to_device(device)?.f_to_kind(Kind::Float)?.f_div_scalar(1.0 - rate)
        };
        self.dropout_sizes().into_iter().map(draw).collect()
    }

    /// A layer that stands in no block. `factors` are those of the layers that dropout stands before and that have not been
    /// computed yet; none without dropout.
    pub(super) fn layer_with_dropout(
        &self,
        layer: &Layer,
        parameters: &Parameters,
        x: &Tensor,
        mode: Mode,
        buffers: &mut [Tensor],
        factors: &mut &[Tensor],
    ) -> Result<Tensor, TchError> {
        match (dropout_before(layer), factors.split_first()) {
            (Some(_), Some((first, left))) => {
                *factors = left;
                self.layer(layer, parameters, &x.f_mul(first)?, mode, buffers)
            }
            _ => self.layer(layer, parameters, x, mode, buffers),
        }
    }
}

/// Where the weight of a layer is that dropout stands before. The first layer with parameters reads the image.
fn dropout_before(layer: &Layer) -> Option<usize> {
    match *layer {
        Layer::Linear { at } if at > 0 => Some(at),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::network::{NetworkSpec, Overrides};
    use crate::stream::stream;

    fn network(name: &str) -> Network {
        Network::new(&NetworkSpec::named(name, &Overrides::default(), 1, [28, 28], 10).unwrap()).unwrap()
    }

    fn outputs(network: &Network, factors: &[Tensor]) -> [Tensor; 2] {
        let parameters = network.init(stream(0, "test", 0).generator(), Device::Cpu).unwrap();
        let images = stream(1, "test", 0).normal_tensor(&[4, 1, 28, 28]);
        let output = network.forward_with_dropout(&parameters, &images, Mode::Train, factors).unwrap();
        [output.logits, parameters.trainable.last().unwrap().shallow_clone()]
    }

    #[test]
    fn it_stands_before_the_linear_layers_but_one_that_reads_the_image() {
        for (name, sizes) in [("cnn2", vec![7744, 128]), ("mlp784", vec![784, 784]), ("convnet3", vec![2048])] {
            assert_eq!(network(name).dropout_sizes(), sizes, "{name}");
        }
    }

    #[test]
    fn a_value_is_zero_or_divided_by_the_share_that_is_kept() {
        let factors = network("mlp784").dropout(0.25, 50, &mut stream(3, "test", 0), Device::Cpu).unwrap();
        assert_eq!(factors.iter().map(Tensor::size).collect::<Vec<_>>(), [[50, 784], [50, 784]]);
        for factors in factors {
            let zeros = factors.eq(0.0);
            let kept = (&factors - 4.0 / 3.0).abs().le(1e-6);
            assert!(bool::try_from(zeros.logical_or(&kept).all()).unwrap());
            let share = zeros.to_kind(Kind::Double).mean(Kind::Double).double_value(&[]);
            assert!((share - 0.25).abs() < 0.01, "{share}");
        }
    }

    #[test]
    fn each_layer_reads_what_its_factors_leave() {
        let network = network("mlp784");
        let ones = Tensor::ones([4, 784], (Kind::Float, Device::Cpu));
        let [plain, bias] = outputs(&network, &[]);
        let [whole, _] = outputs(&network, &[ones.shallow_clone(), ones.shallow_clone()]);
        assert_eq!(plain, whole);
        // Of the last layer nothing but the bias is left, of the one before it the same answer for every image.
        let [none, _] = outputs(&network, &[ones.shallow_clone(), ones.zeros_like()]);
        assert!(none.allclose(&bias.expand_as(&none), 1e-6, 1e-7, false));
        let [same, _] = outputs(&network, &[ones.zeros_like(), ones]);
        assert!(
            same.allclose(&same.get(0).expand_as(&same), 1e-6, 1e-7, false) && !same.allclose(&none, 1e-3, 1e-4, false)
        );
    }
}
