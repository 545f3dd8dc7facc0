//! What computes several classes or several networks in the same operations, against each by itself.

use ddpipe_nn::network::{Mode, Network, NetworkSpec, Norm, Overrides, Parameters};
use ddpipe_nn::pieces::Graph;
use ddpipe_nn::stream::stream;
use tch::{Device, Kind, Reduction, Tensor};

const CLASSES: i64 = 4;

/// Networks with each norm, with linear layers and another pooling; and others.
fn networks(others: &[&'static str]) -> Vec<(String, Network)> {
    let norm = |norm| Overrides { norm: Some(norm), width: Some(8), ..Overrides::default() };
    let mut specs: Vec<(&str, Overrides)> =
        [Norm::Instance, Norm::Batch, Norm::Group, Norm::Layer, Norm::None].map(|of| ("convnet2", norm(of))).into();
    specs.extend(["mlp", "lenet"].iter().chain(others).map(|&arch| (arch, Overrides::default())));
    let network = |(arch, overrides): (&str, Overrides)| {
        let spec = NetworkSpec::named(arch, &overrides, 2, [16, 16], CLASSES).unwrap();
        (format!("{arch}, {:?}", overrides.norm), Network::new(&spec).unwrap())
    };
    specs.into_iter().map(network).collect()
}

/// Fresh weights in double precision, norms and statistics away from one and zero, where their place would not show.
fn weights(network: &Network, seed: u64) -> Parameters {
    let fresh = network.init(stream(seed, "network", 0).generator(), Device::Cpu).unwrap();
    let shaken = |tensors: &[Tensor], purpose: &str| {
        let shake = |(at, tensor): (u64, &Tensor)| {
            let noise = stream(seed, purpose, at).normal_tensor(&tensor.size()) * 0.1;
            (if tensor.dim() == 1 || tensor.dim() == 3 { tensor + noise.abs() } else { tensor.shallow_clone() })
                .to_kind(Kind::Double)
        };
        (0..).zip(tensors).map(shake).collect()
    };
    Parameters { trainable: shaken(&fresh.trainable, "shake"), buffers: shaken(&fresh.buffers, "statistics") }
}

fn images(purpose: &str, count: i64) -> Tensor {
    stream(7, purpose, 0).normal_tensor(&[count, 2, 16, 16]).to_kind(Kind::Double)
}

fn labels(count: i64) -> Tensor {
    Tensor::arange(count, (Kind::Int64, Device::Cpu)).remainder(CLASSES)
}

fn entropy(logits: &Tensor, labels: &Tensor) -> Tensor {
    logits.cross_entropy_loss(labels, None::<&Tensor>, Reduction::Sum, -100, 0.0)
}

fn close(what: &str, got: &Tensor, expected: &Tensor) {
    assert_eq!(got.size(), expected.size(), "{what}");
    let off = f64::try_from((got - expected).abs().max()).unwrap();
    let scale = f64::try_from(expected.abs().max()).unwrap();
    assert!(off <= 1e-9 * scale.max(1e-3), "{what}: off by {off} of {scale}");
}

#[test]
fn stacked_networks_compute_what_each_does_alone() {
    const EACH: i64 = 3;
    for (name, network) in networks(&["resnet18_ap"]) {
        assert!(network.can_be_stacked(), "{name}");
        let drawn = weights(&network, 0);
        let scaled = |tensors: &[Tensor], factor: f64| tensors.iter().map(|tensor| tensor * factor).collect();
        let own = [1.0, 0.8, 1.3].map(|factor| Parameters {
            trainable: scaled(&drawn.trainable, factor),
            buffers: scaled(&drawn.buffers, factor),
        });
        let stacked = Parameters::stack(&own).unwrap();
        let (x, labels) = (images("own", 3 * EACH).view([3, EACH, 2, 16, 16]), labels(EACH));
        for mode in [Mode::Train, Mode::Eval] {
            let leaves = stacked.tracked();
            let (logits, buffers) = network.forward_stacked(&leaves, &x, mode).unwrap();
            let loss = (0..3).map(|index| entropy(&logits.get(index), &labels)).sum::<Tensor>();
            let gradients = Tensor::run_backward(&[loss], &leaves.trainable, false, false);
            let all = Parameters { trainable: gradients, buffers };
            for (index, own) in (0..3).zip(&own) {
                let what = format!("{name}, network {index}, {mode:?}");
                let leaves = own.tracked();
                let alone = network.forward(&leaves, &x.get(index), mode).unwrap();
                close(&what, &logits.get(index), &alone.logits);
                let gradients =
                    Tensor::run_backward(&[entropy(&alone.logits, &labels)], &leaves.trainable, false, false);
                let got = all.of_stack(index).unwrap();
                let pairs = got.trainable.iter().zip(&gradients).chain(got.buffers.iter().zip(&alone.buffers));
                pairs.for_each(|(got, expected)| close(&what, got, expected));
                own.buffers.iter().zip(&stacked.buffers).for_each(|(own, all)| close(&what, &all.get(index), own));
            }
        }
    }
}

#[test]
fn groups_of_images_get_the_gradients_that_each_gets_alone_and_so_do_their_images() {
    for (name, network) in networks(&[]) {
        assert!(network.has_gradients_by_group(), "{name}");
        let parameters = weights(&network, 1);
        for counts in [vec![2i64, 2, 2], vec![3, 1, 2]] {
            let (pixels, labels) = (images("groups", 6).set_requires_grad(true), labels(6));
            let gradients = |graph, wanted: fn(&[i64]) -> bool| {
                let loss = |logits: &Tensor| Ok(entropy(logits, &labels));
                network.gradients_by_group(&parameters, &pixels, &counts, graph, wanted, loss).unwrap()
            };
            let together = gradients(Graph::Kept, |_| true);
            let (mut alone, mut start) = (Vec::new(), 0);
            for &count in &counts {
                let leaves = parameters.tracked();
                let logits = network.forward(&leaves, &pixels.narrow(0, start, count), Mode::Eval).unwrap().logits;
                let loss = entropy(&logits, &labels.narrow(0, start, count));
                alone.push(Tensor::run_backward(&[loss], &leaves.trainable, true, true));
                start += count;
            }
            let alone: Vec<Tensor> = (0..together.len())
                .map(|at| Tensor::stack(&alone.iter().map(|of| &of[at]).collect::<Vec<_>>(), 0))
                .collect();
            let without = gradients(Graph::Without, |shape| shape.len() > 1);
            for (at, (together, alone)) in together.iter().zip(&alone).enumerate() {
                let what = format!("{name}, {counts:?}, {}", network.trainable().nth(at).unwrap().name);
                close(&what, together, alone);
                match together.dim() > 2 {
                    true => close(&what, &without[at], alone),
                    false => assert!(!without[at].defined(), "{what} was not wanted"),
                }
            }
            // Second order: every number of the gradients moves the images, some this way and some that.
            let pull = |gradients: &[Tensor]| {
                let along = |(at, gradient): (u64, &Tensor)| {
                    let signs = stream(8, "along", at).normal_tensor(&gradient.size()).to_kind(Kind::Double);
                    (gradient * gradient * &signs + gradient * &signs).sum(Kind::Double)
                };
                let scalar: Tensor = (0..).zip(gradients).map(along).sum();
                Tensor::run_backward(&[scalar], &[&pixels], true, false).remove(0)
            };
            close(&format!("{name}, {counts:?}, second order"), &pull(&together), &pull(&alone));
        }
    }
}

#[test]
fn transformers_are_told_apart() {
    let overrides = Overrides { depth: Some(1), width: Some(32), ..Overrides::default() };
    let network = Network::new(&NetworkSpec::named("vit", &overrides, 2, [16, 16], CLASSES).unwrap()).unwrap();
    assert!(!network.can_be_stacked() && !network.has_gradients_by_group());
    let parameters = Parameters::stack(&[weights(&network, 0)]).unwrap();
    let error = network.forward_stacked(&parameters, &images("own", 2).unsqueeze(0), Mode::Eval).unwrap_err();
    assert!(error.to_string().contains("cannot be stacked"), "{error}");
}
