//! The private part of a step: every image's own gradient is clipped, the clipped ones are summed, and noise is added.
//! What leaves this file is the noisy gradient; norms and factors of single images are for tests.
//!
//! Legend: P parameters.

use crate::training::{Batch, Examples};
use anyhow::Result;
use ddpipe_nn::network::{Mode, Network, NetworkError, Parameters, PerSampleGradients};
use ddpipe_nn::pieces::{self, Graph, Shared};
use tch::{Device, Kind, Reduction, TchError, Tensor};

/// Images between two calls of `tick`.
const TICK: usize = 1024;

/// Numbers of the gradients of images that go through a network together, and such images, at most. On a CPU more leave
/// its caches; on a GPU they fill a gigabyte.
const CPU: (i64, i64) = (2_600_000, 8);
const GPU: (i64, i64) = (1 << 28, 256);

/// The sum of the clipped gradients. None of this is private.
#[derive(Debug)]
pub struct Clipped {
    /// In the order of [`Parameters::trainable`].
    pub sum: Vec<Tensor>,
    /// Of every image, the norm of its gradient over all parameters together.
    pub norms: Vec<f64>,
    /// Of every image, what its gradient was multiplied by.
    pub factors: Vec<f64>,
}

/// How the images' own gradients are found; the numbers are the same up to rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GradientMode {
    /// One image at a time goes forward and back, so that memory does not grow with the sample. Any network can.
    OneByOne,
    /// So many at a time, as [`Network::per_sample_gradients`] does it.
    Together(i64),
}

impl GradientMode {
    /// What is fast on a device.
    pub fn usual(network: &Network, device: Device) -> Self {
        let (numbers, images) = if device == Device::Cpu { CPU } else { GPU };
        match (numbers / network.parameter_count().max(1)).min(images) {
            some if some > 1 && network.has_per_sample_gradients() => GradientMode::Together(some),
            _ => GradientMode::OneByOne,
        }
    }

    fn at_a_time(self) -> usize {
        match self {
            GradientMode::OneByOne => 1,
            GradientMode::Together(images) => images.max(1) as usize,
        }
    }
}

/// The sum over the images at `positions` of their cross entropy's gradient, each times min(1, max_norm / (norm + 1e-6)).
/// A gradient that is not finite adds nothing: one image must not be able to spoil the sum. `tick` may end it.
pub fn clipped_sum(
    network: &Network,
    parameters: &Parameters,
    examples: &dyn Examples,
    positions: &[i64],
    max_norm: f64,
    mode: GradientMode,
    mut tick: impl FnMut() -> Result<()>,
) -> Result<Clipped> {
    let leaves = Shared::new(parameters.tracked());
    let shared = Shared::new(parameters);
    let sum = parameters.trainable.iter().map(Tensor::f_zeros_like).collect::<Result<_, _>>()?;
    let mut clipped = Clipped { sum, norms: Vec::new(), factors: Vec::new() };
    for some in positions.chunks(TICK) {
        let mut parts = Vec::new();
        for some in some.chunks(mode.at_a_time()) {
            let some = Tensor::f_from_slice(some)?.f_to_device(examples.device())?;
            parts.push(examples.at(&some)?);
        }
        let of_part = |Batch { images, labels, .. }: Batch| -> Result<Clipped> {
            let mut clipped = Clipped { sum: Vec::new(), norms: Vec::new(), factors: Vec::new() };
            match mode {
                GradientMode::OneByOne => {
                    clipped.add_one(gradient_of_one(network, &leaves, &images, &labels)?, max_norm)?
                }
                GradientMode::Together(_) => {
                    let gradients =
                        network.per_sample_gradients(&shared, &images, |logits| cross_entropy(logits, &labels))?;
                    clipped.add(&gradients, max_norm)?;
                }
            }
            Ok(clipped)
        };
        if let Some(found) = pieces::fold(examples.device(), Graph::Kept, parts, of_part, Clipped::and)? {
            clipped = clipped.and(found)?;
        }
        if some.len() == TICK {
            tick()?;
        }
    }
    Ok(clipped)
}

impl Clipped {
    /// Writes down an image's norm and gives its factor, unless its gradient is not finite.
    fn factor(&mut self, norm: f64, max_norm: f64) -> Option<f64> {
        let factor = norm.is_finite().then(|| (max_norm / (norm + 1e-6)).min(1.0));
        self.norms.push(norm);
        self.factors.push(factor.unwrap_or(0.0));
        factor
    }

    /// The sum with what was found of later images.
    fn and(mut self, next: Clipped) -> Result<Clipped> {
        self.norms.extend(next.norms);
        self.factors.extend(next.factors);
        if self.sum.is_empty() {
            return Ok(Clipped { sum: next.sum, ..self });
        }
        for (sum, part) in self.sum.iter_mut().zip(&next.sum) {
            let _ = sum.f_add_(&part.f_view_as(sum)?)?;
        }
        Ok(self)
    }

    fn add_one(&mut self, gradient: Vec<Tensor>, max_norm: f64) -> Result<(), TchError> {
        let norms: Vec<Tensor> = gradient.iter().map(Tensor::f_norm).collect::<Result<_, _>>()?;
        let norm = f64::try_from(Tensor::f_stack(&norms, 0)?.f_norm()?)?;
        if let Some(factor) = self.factor(norm, max_norm) {
            self.sum = gradient.iter().map(|part| part.f_mul_scalar(factor)).collect::<Result<_, _>>()?;
        }
        Ok(())
    }

    fn add(&mut self, gradients: &PerSampleGradients, max_norm: f64) -> Result<(), TchError> {
        let norms_B = gradients.norms()?;
        let (mut finite, mut factors) = (Vec::new(), Vec::new());
        for (place, norm) in Vec::<f64>::try_from(norms_B.f_to_kind(Kind::Double)?)?.into_iter().enumerate() {
            if let Some(factor) = self.factor(norm, max_norm) {
                finite.push(place as i64);
                factors.push(factor);
            }
        }
        let factors = Tensor::f_from_slice(&factors)?.f_to_kind(norms_B.kind())?.f_to_device(norms_B.device())?;
        self.sum = if finite.len() as i64 == norms_B.size()[0] {
            gradients.weighted_sum(&factors)?
        } else {
            // Nothing times what is not a number is not a number, so that it has to stay outside.
            gradients.select(&Tensor::f_from_slice(&finite)?.f_to_device(norms_B.device())?)?.weighted_sum(&factors)?
        };
        Ok(())
    }
}

fn gradient_of_one(
    network: &Network,
    leaves: &Parameters,
    image: &Tensor,
    label: &Tensor,
) -> Result<Vec<Tensor>, TchError> {
    let logits = network.forward(leaves, image, Mode::Train)?.logits;
    Tensor::f_run_backward(&[cross_entropy(&logits, label)?], &leaves.trainable, false, false)
}

/// Summed over the images.
fn cross_entropy(logits: &Tensor, labels: &Tensor) -> Result<Tensor, TchError> {
    logits.f_cross_entropy_loss(labels, None::<&Tensor>, Reduction::Sum, -100, 0.0)
}

/// (sum + deviation * noise) / divisor, for standard normal noise \[P\] in the order of the parameters.
pub fn noised(
    network: &Network,
    sum: &[Tensor],
    noise_P: &Tensor,
    deviation: f64,
    divisor: f64,
) -> Result<Vec<Tensor>, NetworkError> {
    let noised = |(sum, noise): (&Tensor, &Tensor)| -> Result<Tensor, NetworkError> {
        Ok(sum.f_add(&noise.f_mul_scalar(deviation)?.f_to_device(sum.device())?)?.f_div_scalar(divisor)?)
    };
    sum.iter().zip(&network.unflatten(noise_P)?).map(noised).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::artifact::{Normalisation, SyntheticSet};
    use ddpipe_nn::network::{NetworkSpec, Overrides};
    use ddpipe_nn::stream::stream;
    use tch::Device;

    /// The third image is not a number.
    fn set() -> SyntheticSet {
        let images = stream(1, "images", 0).normal_tensor(&[3, 1, 8, 8]);
        let _ = images.get(2).fill_(f64::NAN);
        let (labels, normalisation) = (Tensor::from_slice(&[0i64, 1, 0]), Normalisation::identity(1));
        SyntheticSet {
            images,
            labels,
            classes: 2,
            ipc: 1,
            normalisation,
            origin: "sample data".into(),
            class_names: Vec::new(),
            lr: None,
            targets: false,
            decoder: None,
        }
    }

    #[test]
    fn no_image_adds_more_than_the_norm_and_sums_are_sums() {
        let overrides = Overrides { width: Some(4), ..Overrides::default() };
        let network = Network::new(&NetworkSpec::named("convnet1", &overrides, 1, [8, 8], 2).unwrap()).unwrap();
        let parameters = network.init(stream(2, "network", 0).generator(), Device::Cpu).unwrap();
        for mode in
            [GradientMode::OneByOne, GradientMode::Together(1), GradientMode::Together(2), GradientMode::Together(9)]
        {
            let sum = |positions: &[i64], max_norm| {
                let clipped = clipped_sum(&network, &parameters, &set(), positions, max_norm, mode, || Ok(())).unwrap();
                assert_eq!((clipped.norms.len(), clipped.factors.len()), (positions.len(), positions.len()));
                Parameters { trainable: clipped.sum, buffers: Vec::new() }.flat()
            };
            let number = |tensor: Tensor| f64::try_from(tensor).unwrap();
            let (first, second) = (sum(&[0], 0.1), sum(&[1], 0.1));
            for one in [&first, &second] {
                let norm = number(one.norm());
                assert!(norm <= 0.1 && norm > 0.0999, "{norm}");
            }
            assert!(number(sum(&[0], f64::INFINITY).norm()) > 0.2, "the gradient itself is longer");
            assert!(number((sum(&[0, 1], 0.1) - &first - &second).abs().max()) < 1e-7);
            assert_eq!(number(sum(&[], 0.1).abs().max()), 0.0);
            let beside = sum(&[0, 2], 0.1);
            assert!(number((&beside - &first).abs().max()) < 1e-7, "{mode:?}: what is not finite adds nothing");
            assert!(beside == first || mode.at_a_time() > 1, "{mode:?}");
            assert_eq!(number(sum(&[2], 0.1).abs().max()), 0.0);
        }
    }

    #[test]
    fn the_host_is_asked_about_every_thousand_images() {
        let network = Network::new(&NetworkSpec::named("mlp", &Overrides::default(), 1, [8, 8], 2).unwrap()).unwrap();
        let parameters = network.init(stream(2, "network", 0).generator(), Device::Cpu).unwrap();
        for mode in [GradientMode::OneByOne, GradientMode::Together(100)] {
            let mut asked = 0;
            let tick = || {
                asked += 1;
                Ok(())
            };
            clipped_sum(&network, &parameters, &set(), &[0; 2100], 0.1, mode, tick).unwrap();
            assert_eq!(asked, 2, "{mode:?}");
        }
    }

    #[test]
    fn noise_is_scaled_and_added_before_the_division() {
        let network = Network::new(&NetworkSpec::named("mlp", &Overrides::default(), 1, [2, 2], 2).unwrap()).unwrap();
        let zeros: Vec<_> = network.trainable().map(|spec| Tensor::zeros(&spec.shape, tch::kind::FLOAT_CPU)).collect();
        let noise = stream(3, "noise", 0).normal_tensor(&[network.parameter_count()]);
        let noised = noised(&network, &zeros, &noise, 3.0, 2.0).unwrap();
        let flat = Parameters { trainable: noised, buffers: Vec::new() }.flat();
        assert!(f64::try_from((flat - noise * 1.5).abs().max()).unwrap() < 1e-6);
    }
}
