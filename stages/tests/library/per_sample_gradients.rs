//! The gradients of many images at once against those of one image after the other, for every network that treats
//! images apart.

use ddpipe_nn::network::{Activation, Architecture, Mode, Network, NetworkSpec, Norm, Overrides, Parameters, Pooling};
use ddpipe_nn::stream::stream;
use tch::{Device, Kind, Reduction, TchError, Tensor};

const CLASSES: i64 = 4;
const IMAGES: i64 = 3;

fn spec(arch: &str, overrides: Overrides) -> NetworkSpec {
    NetworkSpec::named(arch, &overrides, 2, [32, 32], CLASSES).unwrap()
}

/// In double precision, so that rounding does not hide anything.
fn double(tensors: &[Tensor]) -> Vec<Tensor> {
    tensors.iter().map(|tensor| tensor.to_kind(Kind::Double)).collect()
}

fn loss(logits: &Tensor, labels: &Tensor) -> Result<Tensor, TchError> {
    logits.f_cross_entropy_loss(labels, None::<&Tensor>, Reduction::Sum, -100, 0.0)
}

fn check(name: &str, spec: &NetworkSpec) {
    let network = Network::new(spec).unwrap();
    assert!(network.has_per_sample_gradients() && !network.has_batch_statistics(), "{name}");
    let Parameters { trainable, .. } = network.init(stream(1, "network", 0).generator(), Device::Cpu).unwrap();
    // Norms start at one and zero, and then their place in the formula does not show.
    let shaken = |(at, tensor): (usize, &Tensor)| match tensor.dim() {
        1 | 3 => tensor + stream(2, "shake", at as u64).normal_tensor(&tensor.size()) * 0.1,
        _ => tensor.shallow_clone(),
    };
    let trainable: Vec<Tensor> = trainable.iter().enumerate().map(shaken).collect();
    let parameters = Parameters { trainable: double(&trainable), buffers: Vec::new() };
    let images = stream(3, "images", 0).normal_tensor(&[IMAGES, 2, 32, 32]).to_kind(Kind::Double);
    let labels = Tensor::from_slice(&[1i64, 0, 3]);

    let together = network.per_sample_gradients(&parameters, &images, |logits| loss(logits, &labels)).unwrap();
    let norms = Vec::<f64>::try_from(together.norms().unwrap()).unwrap();
    for image in 0..IMAGES {
        let leaves = parameters.tracked();
        let logits = network.forward(&leaves, &images.narrow(0, image, 1), Mode::Train).unwrap().logits;
        let alone = loss(&logits, &labels.narrow(0, image, 1)).unwrap();
        let alone = Tensor::run_backward(&[alone], &leaves.trainable, false, false);
        let mut factors = vec![0.0; IMAGES as usize];
        factors[image as usize] = 1.0;
        let own = together.weighted_sum(&Tensor::from_slice(&factors)).unwrap();
        assert_eq!(own.len(), alone.len());
        let flat = Parameters { trainable: alone.iter().map(Tensor::shallow_clone).collect(), buffers: Vec::new() };
        let norm = f64::try_from(flat.flat().norm()).unwrap();
        assert!(norm > 1e-3 && (norms[image as usize] / norm - 1.0).abs() < 1e-9, "{name}: {norms:?}, {norm}");
        for ((own, alone), spec) in own.iter().zip(&alone).zip(network.trainable()) {
            let off = f64::try_from((own.view_as(alone) - alone).abs().max()).unwrap();
            assert!(off < 1e-9 * norm, "{name}, {}: {off} of {norm}", spec.name);
        }
    }
    // Some of them, as if the others had never been there.
    let chosen = together.only(&Tensor::from_slice(&[true, false, true])).unwrap();
    let sum = chosen.weighted_sum(&Tensor::from_slice(&[2.0, f64::MAX, 0.5])).unwrap();
    let same = together.weighted_sum(&Tensor::from_slice(&[2.0, 0.0, 0.5])).unwrap();
    for (sum, same) in sum.iter().zip(&same) {
        assert!(f64::try_from((sum - same).abs().max()).unwrap() < 1e-9);
    }
}

#[test]
fn every_network_gives_each_image_its_own_gradient() {
    let small = |norm| Overrides { norm: Some(norm), width: Some(8), ..Overrides::default() };
    for kind in [Norm::Instance, Norm::Group, Norm::Layer, Norm::None] {
        check(&format!("convnet3, {kind:?}"), &spec("convnet3", small(kind)));
    }
    for activation in [Activation::LeakyRelu, Activation::Sigmoid, Activation::Swish] {
        let overrides = Overrides { activation: Some(activation), ..small(Norm::Instance) };
        check(&format!("convnet2, {activation:?}"), &spec("convnet2", overrides));
    }
    for pooling in [Pooling::Max, Pooling::None] {
        let overrides = Overrides { pooling: Some(pooling), ..small(Norm::Instance) };
        check(&format!("convnet2, {pooling:?}"), &spec("convnet2", overrides));
    }
    for arch in ["mlp", "lenet", "alexnet", "vgg11", "resnet18", "resnet18_ap"] {
        check(arch, &spec(arch, Overrides::default()));
    }
    let (activation, pooling) = (Activation::Relu, Pooling::Average);
    let architecture = Architecture::Cnn { channels: vec![4, 6], kernel: 5, activation, norm: Norm::Instance, pooling };
    check("a cnn", &NetworkSpec { architecture, ..spec("convnet2", Overrides::default()) });
}

#[test]
fn networks_that_mix_images_or_tokens_are_told_apart() {
    let known = |arch, overrides| Network::new(&spec(arch, overrides)).unwrap().has_per_sample_gradients();
    assert!(!known("vit", Overrides::default()));
    for arch in ["resnetv2_50", "mobilenetv2_100", "efficientnet_b0"] {
        assert!(!known(arch, Overrides::default()), "{arch}");
    }
    assert!(!known("resnet18", Overrides { norm: Some(Norm::Batch), ..Overrides::default() }));
}
