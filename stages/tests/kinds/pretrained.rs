//! Training from weights that come from outside: safetensors under timm's names, checked against the network, and the
//! whole way from such a file to a teacher that is fine-tuned in two phases. The weights are made up here; their names
//! and shapes are those that timm listed for the golden cases.

use crate::host::{Event, Recorder, Stage, byte_set, json, message, tensors};
use crate::walker::{self, Case};
use ddpipe_interface::{Declaration, Param};
use ddpipe_nn::stream::stream;
use ddpipe_stages::artifact::{Model, Normalisation, TensorFile};
use ddpipe_stages::context::{Artifact, Outputs};
use ddpipe_stages::registry;
use indexmap::IndexMap;
use safetensors::tensor::{Dtype, TensorView};
use tch::{Device, Kind, Tensor};

/// Weights by name.
type Weights = IndexMap<String, Tensor>;

/// Made-up weights of one of timm's networks for `classes` classes, with the counters that PyTorch's state dicts hold.
fn weights(arch: &str, classes: i64) -> Weights {
    let path = walker::own_folder().join("networks").join(format!("{arch}_64.json"));
    let case = Case::load(&path).unwrap();
    let last = walker::network::listed(&case).len() - 2;
    let mut weights = Weights::new();
    for (place, (name, _, kind, mut shape)) in walker::network::listed(&case).into_iter().enumerate() {
        if place >= last {
            shape[0] = classes;
        }
        let mut draws = stream(1, &name, 0);
        let inputs: i64 = shape[1..].iter().product();
        let value = match kind.as_str() {
            "running_var" | "norm_weight" => draws.uniform_tensor(&shape, 0.5, 1.5),
            "weight" => draws.normal_tensor(&shape) * (1.0 / inputs as f64).sqrt(),
            _ => draws.normal_tensor(&shape) * 0.1,
        };
        if kind == "running_var" {
            weights.insert(name.replace("running_var", "num_batches_tracked"), Tensor::from(300i64));
        }
        weights.insert(name, value);
    }
    weights
}

/// The file that `safetensors.torch.save_file` would write.
fn file(weights: &Weights) -> Vec<u8> {
    let stored: Vec<(&String, Dtype, Vec<usize>, Vec<u8>)> = weights
        .iter()
        .map(|(name, tensor)| {
            let dtype = match tensor.kind() {
                Kind::Half => Dtype::F16,
                Kind::BFloat16 => Dtype::BF16,
                Kind::Double => Dtype::F64,
                Kind::Int64 => Dtype::I64,
                _ => Dtype::F32,
            };
            let mut bytes = vec![0; tensor.numel() * tensor.kind().elt_size_in_bytes()];
            tensor.contiguous().copy_data_u8(&mut bytes, tensor.numel());
            (name, dtype, tensor.size().iter().map(|&axis| axis as usize).collect(), bytes)
        })
        .collect();
    let views = stored
        .iter()
        .map(|(name, dtype, shape, bytes)| (name.as_str(), TensorView::new(*dtype, shape.clone(), bytes).unwrap()));
    let metadata = std::collections::HashMap::from([("format".to_string(), "pt".to_string())]);
    safetensors::serialize(views, Some(metadata)).unwrap()
}

fn dataset(channels: i64) -> TensorFile {
    let images = stream(2, "images", 0).uniform_tensor(&[4, channels, 32, 32], 0.0, 255.0).to_kind(Kind::Uint8);
    let labels = Tensor::from_slice(&[0i64, 1, 1, 0]);
    let normalisation = Normalisation::new(vec![0.5; channels as usize], vec![0.5; channels as usize]);
    let origin = "sample data: noise".to_string();
    byte_set(images, labels, 2, normalisation, origin).to_file()
}

/// One step in which all but the last linear layer is frozen: the rest of the model is what was read.
fn read(weights: &Weights, channels: i64) -> Stage {
    let stage = Stage::of("train.classifier").tensors("train", "noise", &dataset(channels));
    let stage = stage.file("weights", "source:timm/model.safetensors", file(weights)).param("arch", "mobilenetv2_100");
    stage.param("freeze", ["backbone"]).param("epochs", 1).param("batch_size", 4)
}

fn model(outputs: &Outputs) -> Model {
    Model::from_file(tensors(outputs, "model")).unwrap()
}

fn said(recorder: &Recorder) -> String {
    let lines = recorder.events().into_iter().filter_map(|event| match event {
        Event::Log(_, text) => Some(text),
        _ => None,
    });
    lines.collect::<Vec<_>>().join("\n")
}

const HEAD: [&str; 2] = ["classifier.weight", "classifier.bias"];

#[test]
fn weights_are_taken_by_name_and_another_number_of_classes_starts_fresh() {
    let given = weights("mobilenetv2_100", 1000);
    let stage = read(&given, 3);
    let recorder = stage.recorder();
    let outputs = stage.run().unwrap();
    let model = model(&outputs);
    for (name, tensor) in given.iter().filter(|(name, _)| !name.ends_with("num_batches_tracked")) {
        if !HEAD.contains(&name.as_str()) {
            assert_eq!(&model.tensors[name], tensor, "{name}");
        }
    }
    assert_eq!(model.tensors["classifier.weight"].size(), [2, 1280]);
    assert!(!model.tensors.keys().any(|name| name.ends_with("num_batches_tracked")));
    let said = said(&recorder);
    assert!(said.contains("starts from the weights source:timm/model.safetensors"), "{said}");
    assert!(said.contains("is for 1000 classes; the one for 2 classes starts fresh"), "{said}");
    assert_eq!(json(&outputs, "metrics")["weights"].as_str().map(str::len), Some(64));

    // The same number of classes is taken, and so is a model that a stage made; a file without a head is said to be one.
    let whole = weights("mobilenetv2_100", 2);
    let stage = read(&whole, 3).param("lr", 1e-12);
    let recorder = stage.recorder();
    let taken = stage.run().unwrap();
    let distance = (&self::model(&taken).tensors["classifier.weight"] - &whole["classifier.weight"]).abs().max();
    assert!(f64::try_from(distance).unwrap() < 1e-9);
    assert!(!self::said(&recorder).contains("fresh"), "{}", self::said(&recorder));
    let stage = Stage::of("train.classifier").tensors("train", "noise", &dataset(3)).param("arch", "mobilenetv2_100");
    let again = stage.input("weights", "taken", &taken.artifacts["model"]).param("freeze", ["backbone"]);
    let again = again.param("epochs", 1).param("batch_size", 4).run().unwrap();
    let same = |name: &str| self::model(&again).tensors[name] == self::model(&taken).tensors[name];
    assert!(same("conv_stem.weight") && same("bn2.running_var") && !same("classifier.weight"));
    let mut headless = whole;
    HEAD.iter().for_each(|name| drop(headless.shift_remove(*name)));
    let stage = read(&headless, 3);
    let recorder = stage.recorder();
    stage.run().unwrap();
    let text = self::said(&recorder);
    assert!(text.contains("no last linear layer in the file; the one for 2 classes starts fresh"), "{text}");
}

#[test]
fn a_prefix_of_all_names_is_left_out() {
    let plain = weights("mobilenetv2_100", 1000);
    let wrapped: Weights =
        plain.iter().map(|(name, tensor)| (format!("module.{name}"), tensor.shallow_clone())).collect();
    let stage = read(&wrapped, 3);
    let recorder = stage.recorder();
    let (wrapped, plain) = (stage.run().unwrap(), read(&plain, 3).run().unwrap());
    assert_eq!(tensors(&wrapped, "model").to_bytes().unwrap(), tensors(&plain, "model").to_bytes().unwrap());
    assert!(said(&recorder).contains("begin with \"module.\", which is left out"));
}

#[test]
fn other_precisions_are_converted_and_colours_are_summed_for_grey() {
    let given = weights("mobilenetv2_100", 2);
    for kind in [Kind::Half, Kind::BFloat16, Kind::Double] {
        let float = |tensor: &Tensor| if tensor.kind() == Kind::Float { tensor.to_kind(kind) } else { tensor.copy() };
        let stored: Weights = given.iter().map(|(name, tensor)| (name.clone(), float(tensor))).collect();
        let model = model(&read(&stored, 3).run().unwrap());
        for name in ["conv_stem.weight", "blocks.3.1.bn2.running_mean"] {
            assert_eq!(model.tensors[name], stored[name].to_kind(Kind::Float), "{kind:?} {name}");
        }
    }
    let stage = read(&given, 1);
    let recorder = stage.recorder();
    let model = model(&stage.run().unwrap());
    let sum = given["conv_stem.weight"].sum_dim_intlist([1i64].as_slice(), true, Kind::Double).to_kind(Kind::Float);
    assert_eq!(model.tensors["conv_stem.weight"], sum);
    let said = said(&recorder);
    assert!(said.contains("conv_stem.weight is summed over its three channels"), "{said}");
}

#[test]
fn whatever_does_not_fit_is_listed_together() {
    let mut given = weights("mobilenetv2_100", 1000);
    let moved = given.shift_remove("blocks.2.0.bn1.bias").unwrap();
    given.insert("blocks.2.0.bn1.beta".into(), moved);
    given.insert("conv_head.weight".into(), Tensor::zeros([1280, 300, 1, 1], (Kind::Float, Device::Cpu)));
    given.insert("bn1.weight".into(), Tensor::zeros([32], (Kind::Int64, Device::Cpu)));
    let _ = given["bn2.bias"].get(7).fill_(f64::NAN);
    let text = message(read(&given, 3).run());
    for part in [
        "the weights source:timm/model.safetensors do not fit the network",
        "missing (1): blocks.2.0.bn1.bias\n",
        "not of this network (1): blocks.2.0.bn1.beta\n",
        "not as it needs them (3): ",
        "conv_head.weight of shape [1280, 300, 1, 1] instead of [1280, 320, 1, 1]",
        "bn1.weight of type Int64",
        "bn2.bias with values that are not finite",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // Another width of the last layer is no other number of classes.
    let mut given = weights("mobilenetv2_100", 1000);
    given.insert("classifier.weight".into(), Tensor::zeros([1000, 640], (Kind::Float, Device::Cpu)));
    let text = message(read(&given, 3).run());
    assert!(text.contains("classifier.weight of shape [1000, 640] instead of [2, 1280]"), "{text}");
    let text = message(read(&weights("efficientnet_b0", 1000), 3).run());
    assert!(text.contains("blocks.0.0.se.conv_reduce.weight") && text.contains(" more"), "{text}");

    let of = |bytes: &[u8]| read(&Weights::new(), 3).replaced(bytes);
    let text = message(of(b"PK\x03\x04 and so on").run());
    assert!(text.contains("a file of PyTorch, not safetensors"), "{text}");
    let text = message(of(b"nothing of the kind").run());
    assert!(text.contains("input \"weights\"") && text.contains("not a safetensors file"), "{text}");
}

trait Replaced {
    fn replaced(self, bytes: &[u8]) -> Self;
}

impl Replaced for Stage {
    /// Other bytes as weights.
    fn replaced(self, bytes: &[u8]) -> Self {
        let stage = Stage::of("train.classifier").tensors("train", "noise", &dataset(3));
        drop(self);
        stage.file("weights", "source:timm/model.bin", bytes).param("arch", "mobilenetv2_100")
    }
}

fn polyps() -> Outputs {
    let files = Stage::of("sample.polyps").param("train", 20).param("test", 10).param("size", 32).run().unwrap();
    let stage = Stage::of("split.mhist").input("annotations", "annotations.csv", &files.artifacts["annotations"]);
    let stage =
        stage.input("images", "images.zip", &files.artifacts["images"]).param("size", 32).param("expect", "none");
    // What timm's resnetv2_50 was trained with.
    stage.param("mean", [0.5; 3]).param("std", [0.5; 3]).run().unwrap()
}

/// From a file of weights to a tested teacher: the head alone, then the last stage too.
#[test]
fn a_teacher_is_fine_tuned_on_tissue_from_weights_under_timms_names() {
    let split = polyps();
    let given = weights("resnetv2_50", 1000);
    let halves: Weights = given
        .iter()
        .map(|(name, tensor)| (name.clone(), tensor.to_kind(Kind::Half)))
        .filter(|(name, _)| !name.ends_with("tracked"))
        .collect();
    let stage = || {
        let stage = Stage::of("train.teacher").input("train", "train", &split.artifacts["train"]);
        let stage = stage.input("test", "test", &split.artifacts["test"]);
        let stage = stage.file("weights", "source:timm/resnetv2_50.safetensors", file(&halves));
        let stage = stage.param("batch_size", 10).param("class_weights", "balanced").param("freeze", ["backbone"]);
        let stage = stage.param("epochs", 2).param("tune_epochs", 1).param("tune_lr", 0.001);
        stage.param("unfreeze", ["stages.3", "norm"])
    };
    let outputs = stage().run().unwrap();
    let model = model(&outputs);
    for (name, tensor) in &halves {
        let stays = !name.starts_with("stages.3") && !name.starts_with("norm") && !name.starts_with("head");
        if !name.starts_with("head") {
            assert_eq!(model.tensors[name] == tensor.to_kind(Kind::Float), stays, "{name}");
        }
    }
    let document = json(&outputs, "metrics");
    assert_eq!(document["network"]["architecture"], "resnetv2_50");
    assert_eq!(document["origin"], "sample data");
    assert_eq!(document["epochs"].as_array().unwrap().len(), 3);
    assert_eq!(document["phases"][0]["trained_parameters"], 2 * 2048 + 2);
    assert_eq!(document["per_class"].as_array().unwrap().len(), 2);
    for name in ["accuracy", "balanced_accuracy", "macro_f1", "auc", "ece"] {
        assert!((0.0..=1.0).contains(&outputs.metrics[name]), "{name}: {}", outputs.metrics[name]);
    }
    assert!(document["by_agreement"].is_object());
}

#[test]
fn a_teacher_is_a_classifier_with_other_defaults() {
    let declared = |kind: &str| Declaration::parse(registry::find(kind).unwrap().declaration).unwrap();
    let (teacher, classifier) = (declared("train.teacher"), declared("train.classifier"));
    assert_eq!((&teacher.inputs, &teacher.outputs), (&classifier.inputs, &classifier.outputs));
    let without_default = |declaration: &Declaration| -> Vec<(String, Param)> {
        let bare =
            |(name, param): (&String, &Param)| (name.clone(), Param { default: None, source: None, ..param.clone() });
        declaration.params.iter().map(bare).collect()
    };
    assert_eq!(without_default(&teacher), without_default(&classifier));
    let train = |kind: &str| {
        let mut stage = Stage::of(kind).tensors("train", "noise", &dataset(3));
        for (name, param) in &classifier.params {
            if let Some(default) = &param.default {
                stage = stage.param(name, default);
            }
        }
        let outputs = stage.param("arch", "mlp").param("epochs", 1).run().unwrap();
        let Artifact::Tensors(model) = &outputs.artifacts["model"] else { panic!("no tensors") };
        (model.to_bytes().unwrap(), json(&outputs, "metrics").clone())
    };
    assert!(train("train.teacher") == train("train.classifier"));
}
