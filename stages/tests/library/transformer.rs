//! The vision transformer: its size by formula, its shapes, what its positions are for, its gradient.

use ddpipe_nn::network::{Chunk, Mode, Network, NetworkSpec, Overrides, Parameters};
use ddpipe_nn::stream::stream;
use tch::{Device, Kind, Tensor};

fn vit(width: i64, depth: i64, channels: i64, image: [i64; 2], classes: i64) -> Network {
    let overrides = Overrides { width: Some(width), depth: Some(depth), ..Overrides::default() };
    Network::new(&NetworkSpec::named("vit", &overrides, channels, image, classes).unwrap()).unwrap()
}

/// Weights in double precision, so that differences of logits mean something.
fn weights(network: &Network) -> Parameters {
    let mut parameters = network.init(stream(0, "init", 0).generator(), Device::Cpu).unwrap();
    for tensor in &mut parameters.trainable {
        *tensor = tensor.to_kind(Kind::Double);
    }
    parameters
}

fn images(shape: &[i64]) -> Tensor {
    stream(0, "images", 0).normal_tensor(shape).to_kind(Kind::Double)
}

fn logits(network: &Network, parameters: &Parameters, x: &Tensor) -> Tensor {
    network.forward(parameters, x, Mode::Train).unwrap().logits
}

fn largest(tensor: Tensor) -> f64 {
    f64::try_from(tensor.abs().max()).unwrap()
}

#[test]
fn parameters_and_multiply_adds_follow_their_formulas() {
    for (width, depth, channels, image, classes) in [(128, 6, 1, [28, 28], 10), (64, 2, 3, [32, 16], 7)] {
        let network = vit(width, depth, channels, image, classes);
        let patches = image[0] / 4 * (image[1] / 4);
        let (tokens, squared) = (patches + 1, width * width);
        let embedding = 16 * channels * width + width + width + tokens * width;
        let blocks = depth * (12 * squared + 13 * width);
        let head = 2 * width + classes * width + classes;
        assert_eq!(network.parameter_count(), embedding + blocks + head);
        let block = 12 * tokens * squared + 2 * tokens * tokens * width;
        assert_eq!(network.flops(), 2 * (16 * channels * patches * width + depth * block + classes * width));
        assert_eq!(network.embedding_size(), width);
    }
}

#[test]
fn outputs_have_their_shapes_and_images_do_not_mix() {
    let network = vit(64, 2, 3, [32, 16], 7);
    let (parameters, x) = (weights(&network), images(&[5, 3, 32, 16]));
    let output = network.forward(&parameters, &x, Mode::Train).unwrap();
    assert_eq!((output.logits.size(), output.embedding.size()), (vec![5, 7], vec![5, 64]));
    let chunked = network.forward_chunked(&parameters, &x, Chunk(2)).unwrap();
    assert!(largest(chunked - &output.logits) < 1e-12);
}

#[test]
fn patches_are_told_apart_by_their_positions_alone() {
    let network = vit(64, 2, 1, [8, 8], 3);
    let mut parameters = weights(&network);
    let x = images(&[2, 1, 8, 8]);
    // The left and the right column of patches change places.
    let swapped = Tensor::cat(&[x.narrow(3, 4, 4), x.narrow(3, 0, 4)], 3);
    assert!(largest(logits(&network, &parameters, &x) - logits(&network, &parameters, &swapped)) > 1e-4);
    let positions = network.trainable().position(|spec| spec.name == "embedding.positions").unwrap();
    parameters.trainable[positions] = parameters.trainable[positions].zeros_like();
    assert!(largest(logits(&network, &parameters, &x) - logits(&network, &parameters, &swapped)) < 1e-12);
    // Inside a patch the order counts.
    assert!(largest(logits(&network, &parameters, &x) - logits(&network, &parameters, &x.flip([3]))) > 1e-4);
}

#[test]
fn the_gradient_is_the_slope_along_every_parameter() {
    let network = vit(32, 2, 1, [8, 8], 3);
    let parameters = weights(&network).tracked();
    let x = images(&[3, 1, 8, 8]);
    let value = |parameters: &Parameters| {
        -logits(&network, parameters, &x).log_softmax(1, Kind::Double).diagonal(0, 0, 1).mean(Kind::Double)
    };
    let gradients = Tensor::run_backward(&[value(&parameters)], &parameters.trainable, false, false);
    let step = 1e-5;
    for (place, (spec, gradient)) in network.trainable().zip(&gradients).enumerate() {
        let direction = stream(1, "direction", place as u64).normal_tensor(&spec.shape).to_kind(Kind::Double);
        let moved = |by: f64| {
            let mut moved = parameters.detached();
            moved.trainable[place] = &moved.trainable[place] + &direction * by;
            f64::try_from(value(&moved)).unwrap()
        };
        let slope = (moved(step) - moved(-step)) / (2.0 * step);
        let expected = f64::try_from((gradient * &direction).sum(Kind::Double)).unwrap();
        let size = f64::try_from(gradient.norm() * direction.norm()).unwrap();
        assert!(size > 0.0, "{}", spec.name);
        assert!((slope - expected).abs() < 1e-6 * size + 1e-9, "{}: {slope}, {expected}", spec.name);
    }
}

#[test]
fn what_cannot_be_cut_is_refused() {
    let message = |width, image| {
        let overrides = Overrides { width: Some(width), ..Overrides::default() };
        Network::new(&NetworkSpec::named("vit", &overrides, 1, image, 10).unwrap()).unwrap_err().to_string()
    };
    let text = message(128, [28, 30]);
    assert_eq!(text, "images of 28x30 cannot be cut into patches of 4x4; take sizes that 4 divides");
    let text = message(100, [28, 28]);
    assert_eq!(text, "a width of 100 is not a multiple of 32, the channels of an attention head");
}
