//! Every architecture that the stages offer: that one step trains it on both usual sizes of images, that its settings
//! arrive, and that docs/networks.md tells its size.

use crate::host::{Stage, byte_set, json, message, tensors};
use ddpipe_interface::Declaration;
use ddpipe_nn::network::{Network, NetworkSpec, Overrides};
use ddpipe_nn::stream::stream;
use ddpipe_stages::artifact::{Dataset, Model, Normalisation, SyntheticSet, TensorFile};
use ddpipe_stages::registry;
use tch::{Device, Kind, Tensor};

const IMAGES: i64 = 4;
const CLASSES: i64 = 2;

/// The networks that follow timm; they are made for larger images than the others.
const TIMM: [&str; 3] = ["resnetv2_50", "mobilenetv2_100", "efficientnet_b0"];

fn dataset(shape: [i64; 3]) -> TensorFile {
    let [channels, height, width] = shape;
    let images = stream(0, "images", 0).uniform_tensor(&[IMAGES, channels, height, width], 0.0, 255.0);
    let labels = Tensor::arange(IMAGES, (Kind::Int64, Device::Cpu)).remainder(CLASSES);
    let normalisation = Normalisation::new(vec![0.5; channels as usize], vec![0.3; channels as usize]);
    let (images, origin) = (images.to_kind(Kind::Uint8), "sample data: noise".to_string());
    byte_set(images, labels, CLASSES, normalisation, origin).to_file()
}

/// One epoch with all images in one batch, which is one step.
fn one_step(kind: &str, arch: &str) -> Stage {
    let stage = Stage::of(kind).param("arch", arch).param("epochs", 1).param("schedule", "constant");
    stage.param("batch_size", IMAGES)
}

fn choices(kind: &str) -> Vec<String> {
    let declaration = Declaration::parse(registry::find(kind).unwrap().declaration).unwrap();
    let choices = declaration.params["arch"].choices.clone();
    assert!(choices.len() > 10, "{kind}: {choices:?}");
    choices
}

/// The architectures of `stage.toml` with the ConvNet once, at its usual depth.
fn architectures() -> Vec<String> {
    choices("train.classifier").into_iter().filter(|name| !name.starts_with("convnet") || name == "convnet3").collect()
}

#[test]
fn both_stages_offer_the_same_networks() {
    assert_eq!(choices("train.classifier"), choices("evaluate.classifier"));
}

#[test]
fn one_step_moves_every_parameter_of_every_network() {
    for arch in architectures() {
        for shape in [[1, 28, 28], [3, 32, 32]] {
            let outputs = one_step("train.classifier", &arch).tensors("train", "train", &dataset(shape)).run();
            let outputs = outputs.unwrap_or_else(|why| panic!("{arch} on {shape:?}: {why:#}"));
            assert!(outputs.metrics["loss"].is_finite(), "{arch} on {shape:?}");

            let model = Model::from_file(tensors(&outputs, "model")).unwrap();
            let spec: NetworkSpec = serde_json::from_value(model.network).unwrap();
            let network = Network::new(&spec).unwrap();
            let trained = network.load(&model.tensors.into_iter().collect()).unwrap();
            let fresh = network.init(stream(0, "init", 0).generator(), Device::Cpu).unwrap();
            for (spec, (before, after)) in network.trainable().zip(fresh.trainable.iter().zip(&trained.trainable)) {
                assert_ne!(before, after, "{arch} on {shape:?}: {} stayed", spec.name);
            }
        }
    }
}

#[test]
fn the_norm_chooses_the_published_variant() {
    for (arch, key) in [("alexnet", "alexnet"), ("vgg11", "vgg"), ("resnet18_ap", "resnet")] {
        let stage = one_step("train.classifier", arch).tensors("train", "train", &dataset([3, 32, 32]));
        let outputs = stage.param("norm", "batch").run().unwrap();
        assert_eq!(json(&outputs, "metrics")["network"]["architecture"][key]["norm"], "batch");
        let model = Model::from_file(tensors(&outputs, "model")).unwrap();
        let is_mean = |name: &String| name.ends_with("running_mean");
        let means: Vec<_> = model.tensors.iter().filter(|(name, _)| is_mean(name)).collect();
        assert!(means.len() >= 5, "{arch}");
        // Statistics start at zero and have seen one batch.
        assert!(means.iter().all(|(_, mean)| f64::try_from(mean.abs().max()).unwrap() > 0.0), "{arch}");
    }
}

#[test]
fn networks_with_a_fixed_norm_refuse_another_and_a_batch_that_it_cannot_use() {
    for arch in TIMM {
        let stage = || one_step("train.classifier", arch).tensors("train", "train", &dataset([3, 32, 32]));
        let text = message(stage().param("norm", "instance").run());
        assert!(text.contains(&format!("{arch} takes no `norm`; leave it out")), "{text}");
        let text = message(stage().param("batch_size", 1).run());
        assert!(text.contains("take batches of at least two images"), "{arch}: {text}");
    }
}

#[test]
fn a_student_may_be_any_of_them() {
    let real = Dataset::from_file(&dataset([1, 28, 28])).unwrap();
    let set = SyntheticSet {
        images: real.floats(),
        labels: Tensor::from_slice(&[0i64, 0, 1, 1]),
        classes: CLASSES,
        ipc: 2,
        normalisation: real.normalisation,
        origin: real.origin,
        class_names: Vec::new(),
        lr: None,
        targets: false,
        decoder: None,
    };
    let stage = one_step("evaluate.classifier", "vgg11").tensors("synthetic", "set", &set.to_file());
    let outputs = stage.tensors("test", "test", &dataset([1, 28, 28])).param("students", 2).run().unwrap();
    assert_eq!(json(&outputs, "metrics")["accuracies"].as_array().unwrap().len(), 2);
}

#[test]
fn images_too_small_for_a_network_are_refused_with_their_size() {
    let stage = one_step("train.classifier", "vgg11").tensors("train", "train", &dataset([3, 16, 16]));
    let text = message(stage.run());
    assert!(text.contains("images of 16x16 are too small at layer features.28, where 1x1 is left of them"), "{text}");
}

/// Groups of three digits, `1,865,802`.
fn grouped(number: i64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap()).collect();
    groups.join(",")
}

fn row(name: &str, [channels, height, width]: [i64; 3]) -> String {
    let spec = NetworkSpec::named(name, &Overrides::default(), channels, [height, width], 10).unwrap();
    let network = Network::new(&spec).unwrap();
    let (parameters, multiply_adds) = (grouped(network.parameter_count()), grouped(network.flops() / 2));
    format!("| `{name}` | {channels}x{height}x{width} | {parameters} | {multiply_adds} |")
}

#[test]
fn the_table_of_networks_tells_their_sizes() {
    let mut expected: Vec<String> = Vec::new();
    for shape in [[1, 28, 28], [3, 32, 32]] {
        expected.extend(architectures().iter().map(|name| row(name, shape)));
    }
    expected.push(row("convnet7", [3, 224, 224]));
    for shape in [[3, 64, 64], [3, 224, 224]] {
        expected.extend(TIMM.map(|name| row(name, shape)));
    }
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/networks.md")).unwrap();
    let (_, sizes) = page.split_once("## Sizes").unwrap();
    let rows: Vec<&str> = sizes.lines().filter(|line| line.starts_with("| `")).collect();
    assert_eq!(rows, expected, "docs/networks.md should have:\n{}", expected.join("\n"));
}
