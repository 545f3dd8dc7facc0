//! The sample digits: repeatable, balanced, marked as what they are, and neither trivial nor hopeless to learn.

use crate::host::small::Small;
use crate::host::{Stage, bytes, tensors};
use ddpipe_stages::artifact::Dataset;
use ddpipe_stages::context::Outputs;
use tch::nn::{self, Module, OptimizerConfig};
use tch::{Device, Kind, Tensor};

const OUTPUTS: [&str; 4] = ["train_images", "train_labels", "test_images", "test_labels"];

fn drawing(seed: u64, train: i64, test: i64) -> Stage {
    Stage::of("sample.digits").seed(seed).param("train", train).param("test", test)
}

fn digits(seed: u64, train: i64, test: i64) -> Outputs {
    drawing(seed, train, test).run().unwrap()
}

pub fn small() -> Vec<Small> {
    vec![Small::of(drawing(3, 30, 10)).begins_anew()]
}

fn decoded(files: &Outputs, set: &str) -> Dataset {
    let images = &files.artifacts[&format!("{set}_images")];
    let labels = &files.artifacts[&format!("{set}_labels")];
    let stage = Stage::of("decode.idx").input("images", "images", images).input("labels", "labels", labels);
    Dataset::from_file(tensors(&stage.run().unwrap(), "dataset")).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_any_number_of_threads() {
    let once = digits(3, 120, 30);
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap().install(|| digits(3, 120, 30));
    let other = digits(4, 120, 30);
    for output in OUTPUTS {
        assert_eq!(bytes(&once, output), bytes(&alone, output), "{output}");
        assert_ne!(bytes(&once, output), bytes(&other, output), "{output} does not depend on the seed");
    }
    assert_ne!(bytes(&once, "train_images"), bytes(&once, "test_images"));
}

#[test]
fn classes_are_balanced_and_shuffled() {
    let set = decoded(&digits(0, 503, 10), "train");
    let counts: Vec<usize> = set.positions_by_class().unwrap().iter().map(Vec::len).collect();
    assert_eq!(counts, [51, 51, 51, 50, 50, 50, 50, 50, 50, 50]);
    let labels = Vec::<i64>::try_from(set.labels).unwrap();
    assert!(!labels.is_sorted() && labels[..10] != [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], "{labels:?}");
}

#[test]
fn they_are_called_sample_data() {
    let files = digits(0, 20, 10);
    for output in OUTPUTS {
        let file = flate2::read::GzDecoder::new(bytes(&files, output));
        let header = file.header().unwrap();
        assert_eq!(header.comment().unwrap(), b"ddpipe sample data, not MNIST");
        assert_eq!(header.mtime(), 0);
    }
    let set = decoded(&files, "test");
    assert_eq!((set.origin.as_str(), set.image_shape(), set.len()), ("sample data", [1, 28, 28], 10));
}

#[test]
fn other_sizes_are_drawn() {
    let small = Stage::of("sample.digits").param("train", 10).param("test", 10).param("size", 8).run().unwrap();
    let set = decoded(&small, "train");
    assert_eq!(set.image_shape(), [1, 8, 8]);
    let darkest = set.images.flatten(1, -1).max_dim(1, false).0.min();
    assert!(i64::try_from(darkest).unwrap() > 80, "an image shows no digit");
}

/// A linear model has to leave room above it, and a small ConvNet has to fill it: else methods cannot be told apart.
#[test]
fn a_linear_model_does_not_solve_them_and_a_small_convnet_does() {
    let files = digits(0, 6000, 1000);
    let [train, test] = ["train", "test"].map(|set| decoded(&files, set));
    let test = Dataset { normalisation: train.normalisation.clone(), ..test };
    let linear = accuracy(&train, &test, 20, |path| nn::seq().add(nn::linear(path, 784, 10, Default::default())), true);
    let convnet = accuracy(&train, &test, 3, convnet, false);
    println!("linear {linear:.4}, ConvNet {convnet:.4}");
    assert!((0.70..=0.88).contains(&linear), "a linear model reaches {linear}");
    assert!(convnet >= 0.96, "a small ConvNet reaches {convnet}");
}

fn convnet(path: &nn::Path) -> nn::Sequential {
    let same = nn::ConvConfig { padding: 1, ..Default::default() };
    nn::seq()
        .add(nn::conv2d(path / 1, 1, 16, 3, same))
        .add_fn(|x| x.relu().max_pool2d_default(2))
        .add(nn::conv2d(path / 2, 16, 32, 3, same))
        .add_fn(|x| x.relu().max_pool2d_default(2))
        .add(nn::conv2d(path / 3, 32, 64, 3, same))
        .add_fn(|x| x.relu().max_pool2d_default(2).flatten(1, -1))
        .add(nn::linear(path / 4, 64 * 9, 10, Default::default()))
}

fn accuracy(
    train: &Dataset,
    test: &Dataset,
    epochs: u64,
    build: impl Fn(&nn::Path) -> nn::Sequential,
    flat: bool,
) -> f64 {
    tch::manual_seed(1);
    let shaped = |images: Tensor| if flat { images.flatten(1, -1) } else { images };
    let (images, seen) = (shaped(train.floats()), shaped(test.floats()));
    let store = nn::VarStore::new(Device::Cpu);
    let network = build(&store.root());
    let mut optimizer = nn::Adam::default().build(&store, 1.5e-3).unwrap();
    for epoch in 0..epochs {
        let order = Tensor::randperm(train.len(), (Kind::Int64, Device::Cpu));
        if epoch == epochs - epochs / 4 {
            optimizer.set_lr(3e-4);
        }
        for batch in order.split(64, 0) {
            let scores = network.forward(&images.index_select(0, &batch));
            optimizer.backward_step(&scores.cross_entropy_for_logits(&train.labels.index_select(0, &batch)));
        }
    }
    tch::no_grad(|| network.forward(&seen).accuracy_for_logits(&test.labels).double_value(&[]))
}
