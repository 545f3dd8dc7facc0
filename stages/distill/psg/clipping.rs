//! The private part of a step: every image's own gradient is clipped, the clipped ones are summed, and noise is added.
//! What leaves this file is the noisy gradient; norms and factors of single images are for tests.
//!
//! Legend: P parameters.

use crate::training::{Batch, Examples};
use anyhow::Result;
use ddpipe_nn::layout::Layout;
use ddpipe_nn::network::{Mode, Network, NetworkError, Parameters, PerSampleGradients};
use ddpipe_nn::pieces::{self, Graph, Shared};
use ddpipe_nn::transfer;
use tch::{Device, Kind, Reduction, TchError, Tensor};

/// Images between two calls of `tick`.
const TICK: i64 = 1024;

/// Numbers of the gradients of images that go through a network together, and such images, at most. On a CPU more leave
/// its caches; on a GPU they fill a gigabyte.
const CPU: (i64, i64) = (2_600_000, 8);
const GPU: (i64, i64) = (1 << 28, 256);

/// The sum of the clipped gradients. None of this is private.
#[derive(Debug)]
pub struct Clipped {
    /// In the order of [`Parameters::trainable`].
    pub sum: Vec<Tensor>,
    /// \[N\] float64, of every image the norm of its gradient over all parameters together.
    pub norms: Tensor,
    /// \[N\] float64, of every image what its gradient was multiplied by.
    pub factors: Tensor,
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
        let (numbers, images) = match Layout::of(device) {
            Layout::Pieces => CPU,
            Layout::Together => GPU,
        };
        match (numbers / network.parameter_count().max(1)).min(images) {
            some if some > 1 && network.has_per_sample_gradients() => GradientMode::Together(some),
            _ => GradientMode::OneByOne,
        }
    }

    fn at_a_time(self) -> i64 {
        match self {
            GradientMode::OneByOne => 1,
            GradientMode::Together(images) => images.max(1),
        }
    }
}

/// The sum over the images at `positions` (\[N\] int64) of their cross entropy's gradient, each times min(1, max_norm / (norm
/// + 1e-6)). A gradient that is not finite adds nothing: one image must not be able to spoil the sum. `tick` may end it.
pub fn clipped_sum(
    network: &Network,
    parameters: &Parameters,
    examples: &dyn Examples,
    positions: &Tensor,
    max_norm: f64,
    mode: GradientMode,
    mut tick: impl FnMut() -> Result<()>,
) -> Result<Clipped> {
    let leaves = Shared::new(parameters.tracked());
    let shared = Shared::new(parameters);
    let none = Tensor::f_zeros([0], (Kind::Double, positions.device()))?;
    let sum = parameters.trainable.iter().map(Tensor::f_zeros_like).collect::<Result<_, _>>()?;
    let mut clipped = Clipped { sum, norms: none.shallow_clone(), factors: none };
    let of_part = |Batch { images, labels, .. }: Batch| -> Result<Clipped> {
        Ok(match mode {
            GradientMode::OneByOne => Clipped::of_one(&gradient_of_one(network, &leaves, &images, &labels)?, max_norm)?,
            GradientMode::Together(_) => {
                let gradients =
                    network.per_sample_gradients(&shared, &images, |logits| cross_entropy(logits, &labels))?;
                Clipped::of(&gradients, max_norm)?
            }
        })
    };
    for some in positions.f_split(TICK, 0)? {
        let count = some.size()[0];
        if count == 0 {
            continue;
        }
        let parts = some.f_split(mode.at_a_time(), 0)?;
        let parts = parts.iter().map(|some| examples.at(some)).collect::<Result<Vec<_>, _>>()?;
        if let Some(found) = pieces::fold(examples.device(), Graph::Kept, parts, of_part, Clipped::and)? {
            clipped = clipped.and(found)?;
        }
        if count == TICK {
            tick()?;
        }
    }
    Ok(clipped)
}

impl Clipped {
    /// The sum with what was found of later images.
    fn and(mut self, next: Clipped) -> Result<Clipped> {
        for (sum, part) in self.sum.iter_mut().zip(&next.sum) {
            let _ = sum.f_add_(&part.f_view_as(sum)?)?;
        }
        let norms = Tensor::f_cat(&[self.norms, next.norms], 0)?;
        Ok(Clipped { sum: self.sum, norms, factors: Tensor::f_cat(&[self.factors, next.factors], 0)? })
    }

    /// The gradient of one image.
    fn of_one(gradient: &[Tensor], max_norm: f64) -> Result<Clipped, TchError> {
        let norms: Vec<Tensor> = gradient.iter().map(Tensor::f_norm).collect::<Result<_, _>>()?;
        let norms = Tensor::f_stack(&norms, 0)?.f_norm()?.f_to_kind(Kind::Double)?.f_view([1])?;
        let (finite, factors) = factors(&norms, max_norm)?;
        let scaled = |part: &Tensor| {
            let nothing = part.f_zeros_like()?;
            part.f_where_self(&finite, &nothing)?.f_mul(&factors.f_to_kind(part.kind())?)
        };
        Ok(Clipped { sum: gradient.iter().map(scaled).collect::<Result<_, _>>()?, norms, factors })
    }

    fn of(gradients: &PerSampleGradients, max_norm: f64) -> Result<Clipped, TchError> {
        let norms_B = gradients.norms()?;
        let (kind, norms) = (norms_B.kind(), norms_B.f_to_kind(Kind::Double)?);
        let (finite, factors) = factors(&norms, max_norm)?;
        // Nothing times what is not a number is not a number, so that it has to stay outside. Where the host would wait for
        // the answer, it does not ask whether there is any.
        let ask = Layout::of(norms.device()) == Layout::Pieces;
        let sum = match ask && transfer::number(&finite.f_all()?)? == 1.0 {
            true => gradients.weighted_sum(&factors.f_to_kind(kind)?)?,
            false => gradients.only(&finite)?.weighted_sum(&factors.f_to_kind(kind)?)?,
        };
        Ok(Clipped { sum, norms, factors })
    }
}

/// Which of these norms \[B\] are finite, and what gradients of such norms are multiplied by, nothing where they are not.
fn factors(norms_B: &Tensor, max_norm: f64) -> Result<(Tensor, Tensor), TchError> {
    let finite = norms_B.f_isfinite()?;
    let factors = norms_B.f_full_like(max_norm)?.f_div(&norms_B.f_add_scalar(1e-6)?)?.f_clamp_max(1.0)?;
    let nothing = factors.f_zeros_like()?;
    Ok((finite.shallow_clone(), factors.f_where_self(&finite, &nothing)?))
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

/// (sum + deviation * noise) / divisor, for standard normal noise \[P\] in the order of the parameters, on
/// their device.
pub fn noised(
    network: &Network,
    sum: &[Tensor],
    noise_P: &Tensor,
    deviation: f64,
    divisor: f64,
) -> Result<Vec<Tensor>, NetworkError> {
    let noised = |(sum, noise): (&Tensor, &Tensor)| -> Result<Tensor, NetworkError> {
        Ok(sum.f_add(noise)?.f_div_scalar(divisor)?)
    };
    sum.iter().zip(&network.unflatten(&noise_P.f_mul_scalar(deviation)?)?).map(noised).collect()
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
                let at = Tensor::from_slice(positions);
                let clipped = clipped_sum(&network, &parameters, &set(), &at, max_norm, mode, || Ok(())).unwrap();
                assert_eq!((clipped.norms.numel(), clipped.factors.numel()), (positions.len(), positions.len()));
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
            let at = Tensor::zeros([2100], (Kind::Int64, Device::Cpu));
            clipped_sum(&network, &parameters, &set(), &at, 0.1, mode, tick).unwrap();
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
