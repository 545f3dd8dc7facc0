//! Freezing and fine-tuning in two phases, through `train.classifier`: what is frozen stays, running statistics
//! included; the phases follow one another; and the weights of classes.

use crate::bars;
use crate::host::small::Small;
use crate::host::{Stage, json, message, tensors};
use ddpipe_nn::network::{Mode, Network, NetworkSpec, Norm, Overrides};
use ddpipe_nn::optim::Sgd;
use ddpipe_nn::stream::stream;
use ddpipe_stages::artifact::{Dataset, Model};
use ddpipe_stages::context::Outputs;
use ddpipe_stages::training::{Batch, Settings, Tuning, cross_entropy_gradient, frozen};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

/// A ConvNet with batch norm on bars.
fn train() -> Stage {
    training("train.classifier")
}

fn training(kind: &str) -> Stage {
    let stage = Stage::of(kind).tensors("train", "bars", &bars::real()).param("arch", "convnet2");
    let stage = stage.param("width", 8).param("norm", "batch").param("epochs", 3).param("batch_size", 12);
    stage.param("lr", 0.05)
}

/// Stopped in either of the two phases of a fine-tuning.
pub fn small() -> Vec<Small> {
    let before = train().seed(3).run().unwrap();
    let tuned = |kind: &str| {
        let stage = training(kind).input("weights", "before", &before.artifacts["model"]);
        let stage = stage.param("freeze", ["features.0", "features.1"]).param("tune_epochs", 2).param("epochs", 2);
        let stage = stage.param("flip", "horizontal").param("shift", 0.1).param("class_weights", "balanced");
        Small::of(stage.tensors("test", "bars", &bars::real())).named("in two phases")
    };
    let kinds = ["train.classifier", "train.teacher"];
    kinds.into_iter().map(|kind| tuned(kind).continues(3, [3, 5, 8, 10, 12, 14, 16])).collect()
}

fn model(outputs: &Outputs) -> Model {
    Model::from_file(tensors(outputs, "model")).unwrap()
}

fn content(outputs: &Outputs) -> (Vec<u8>, String) {
    (tensors(outputs, "model").to_bytes().unwrap(), json(outputs, "metrics").to_string())
}

/// The names of the tensors that two models agree in, bit by bit.
fn unmoved(before: &Model, after: &Model) -> Vec<String> {
    let same = before.tensors.iter().filter(|(name, tensor)| **tensor == after.tensors[*name]);
    same.map(|(name, _)| name.clone()).collect()
}

fn network(arch: &str, norm: Option<Norm>) -> Network {
    let width = arch.starts_with("convnet").then_some(8);
    let overrides = Overrides { norm, width, ..Overrides::default() };
    Network::new(&NetworkSpec::named(arch, &overrides, 3, [16, 16], 4).unwrap()).unwrap()
}

fn patterns(list: &[&str]) -> Vec<String> {
    list.iter().map(|pattern| pattern.to_string()).collect()
}

#[test]
fn what_is_frozen_stays_with_its_statistics_and_the_rest_moves() {
    let before = train().run().unwrap();
    let start = |stage: Stage| stage.input("weights", "before", &before.artifacts["model"]);
    let after = start(train()).param("freeze", ["features.0", "*.1.*"]).run().unwrap();
    let mut names = unmoved(&model(&before), &model(&after));
    names.sort();
    let expected = [
        "features.0.bias",
        "features.0.weight",
        "features.1.bias",
        "features.1.running_mean",
        "features.1.running_var",
        "features.1.weight",
    ];
    assert_eq!(names, expected);
    // A norm of which only a part is frozen goes on with its batch's statistics.
    let part = start(train()).param("freeze", ["features.1.weight"]).run().unwrap();
    assert_eq!(unmoved(&model(&before), &model(&part)), ["features.1.weight"]);
    // Weight decay leaves a frozen parameter alone, and is there for the others.
    let decayed = start(train()).param("freeze", ["backbone"]).param("weight_decay", 0.5).run().unwrap();
    let moved: Vec<String> = model(&before).tensors.keys().cloned().collect();
    let still = unmoved(&model(&before), &model(&decayed));
    assert_eq!(
        moved.iter().filter(|name| !still.contains(name)).cloned().collect::<Vec<_>>(),
        ["classifier.weight", "classifier.bias"]
    );
}

#[test]
fn the_gradient_of_what_is_trained_is_that_of_the_whole_and_there_is_no_other() {
    let net = network("convnet2", None);
    let parameters = net.init(stream(0, "init", 0).generator(), Device::Cpu).unwrap();
    let x = stream(0, "x", 0).normal_tensor(&[5, 3, 16, 16]);
    let labels = Tensor::from_slice(&[0i64, 1, 2, 3, 0]);
    let chunk = ddpipe_nn::network::Chunk(2);
    let batch = Batch::new(x, labels);
    let whole = cross_entropy_gradient(&net, &parameters, &batch, chunk).unwrap();
    let held = frozen(&net, &patterns(&["features.4", "classifier.bias"])).unwrap();
    let part = cross_entropy_gradient(&net.freeze(&held), &parameters, &batch, chunk).unwrap();
    assert_eq!(held.iter().filter(|held| **held).count(), 3);
    for ((whole, part), held) in whole.gradients.iter().zip(&part.gradients).zip(&held) {
        assert_eq!(part.defined(), !held);
        assert!(*held || whole == part);
    }
    assert_eq!(whole.loss, part.loss);
}

#[test]
fn frozen_batch_norms_infer_while_the_others_learn() {
    let net = network("convnet2", Some(Norm::Batch));
    let parameters = net.init(stream(0, "init", 0).generator(), Device::Cpu).unwrap();
    let x = stream(0, "x", 0).normal_tensor(&[6, 3, 16, 16]) * 3.0;
    let held = |list: &[&str]| net.freeze(&frozen(&net, &patterns(list)).unwrap());
    assert!(net.has_batch_statistics() && held(&["features.0", "features.1"]).has_batch_statistics());
    let all = held(&["features.1", "features.5"]);
    assert!(!all.has_batch_statistics() && held(&["backbone"]).is_frozen(0));
    let forward = |net: &Network, mode| net.forward(&parameters, &x, mode).unwrap();
    let train = forward(&all, Mode::Train);
    assert_eq!(train.logits, forward(&net, Mode::Eval).logits);
    assert_eq!(train.buffers, parameters.buffers);
    let half = forward(&held(&["features.1"]), Mode::Train);
    assert_eq!(half.buffers[..2], parameters.buffers[..2]);
    assert!(half.buffers[2..].iter().zip(&parameters.buffers[2..]).all(|(after, before)| after != before));
}

fn rates(document: &Value) -> Vec<f64> {
    document["epochs"].as_array().unwrap().iter().map(|epoch| epoch["rate"].as_f64().unwrap()).collect()
}

#[test]
fn the_second_phase_begins_where_the_first_ends() {
    let first = || train().param("freeze", ["backbone"]).param("schedule", "constant");
    let both = || first().param("tune_epochs", 2).param("tune_lr", 0.01);
    let (one, two) = (first().run().unwrap(), both().run().unwrap());
    let (one_said, two_said) = (json(&one, "metrics"), json(&two, "metrics"));
    assert_eq!(rates(one_said), [0.05; 3]);
    assert_eq!(rates(two_said), [0.05, 0.05, 0.05, 0.01, 0.01]);
    assert_eq!(one_said["epochs"].as_array().unwrap()[..], two_said["epochs"].as_array().unwrap()[..3]);
    let numbers: Vec<u64> =
        two_said["epochs"].as_array().unwrap().iter().map(|epoch| epoch["epoch"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4]);
    assert!(unmoved(&model(&one), &model(&two)).is_empty(), "all is trained in the second phase");
    let whole = one_said["parameters"].as_i64().unwrap();
    // One-channel images of 16x16 are padded to 20x20, and pooled twice.
    let head = 3 * (8 * 5 * 5 + 1);
    let phase = |epochs: u64, lr: f64, trained: i64| serde_json::json!({ "epochs": epochs, "lr": lr, "trained_parameters": trained });
    assert_eq!(two_said["phases"], serde_json::json!([phase(3, 0.05, head), phase(2, 0.01, whole)]));

    // What is left frozen in the second phase stays; the schedule starts anew; a tenth of the rate is the default.
    let some = train().param("freeze", ["backbone"]).param("unfreeze", ["features.4", "classifier"]);
    let some = some.param("tune_epochs", 2).run().unwrap();
    let rest = rates(json(&some, "metrics"));
    assert_eq!((rest[0], rest[3]), (0.05, 0.005));
    assert!((rest[4] - 0.0025).abs() < 1e-12, "{rest:?}");
    let untouched = train().param("freeze", ["backbone"]).run().unwrap();
    let mut names = unmoved(&model(&untouched), &model(&some));
    names.sort();
    let parts = ["bias", "running_mean", "running_var", "weight"];
    let frozen = [("features.0", ["bias", "weight"].as_slice()), ("features.1", &parts), ("features.5", &parts)];
    let frozen: Vec<String> =
        frozen.iter().flat_map(|(layer, parts)| parts.iter().map(move |part| format!("{layer}.{part}"))).collect();
    assert_eq!(names, frozen);
}

/// The velocity does not come along: a phase in which nothing moves forgets it.
#[test]
fn the_second_phase_starts_with_an_empty_velocity() {
    let settings = Settings::plain(1, 12, 0.1, Sgd { momentum: 0.9, weight_decay: 0.0 }, 0);
    let tuning = |lr: f64| Tuning { freeze: vec![], unfreeze: patterns(&["*"]), tune_epochs: 1, tune_lr: Some(lr) };
    let phases = tuning(0.02).phases(&network("mlp", None), settings.clone()).unwrap();
    assert_eq!(phases.iter().map(|phase| phase.settings.rate).collect::<Vec<_>>(), [0.1, 0.02]);
    let stage = |momentum: f64, tune: f64| {
        let stage = train().param("norm", "none").param("schedule", "constant").param("epochs", 1);
        stage.param("batch_size", 64).param("momentum", momentum).param("tune_epochs", 1).param("tune_lr", tune)
    };
    // One step in each phase: were there a velocity left, momentum would show in the second.
    let with = |momentum| content(&stage(momentum, 0.02).run().unwrap());
    assert_eq!(with(0.9), with(0.0));
}

#[test]
fn patterns_that_mean_nothing_are_errors() {
    let text = message(train().param("freeze", ["features.0", "feature.4.*"]).run());
    assert!(text.contains("`freeze`: the pattern \"feature.4.*\" means no parameter of this network"), "{text}");
    assert!(text.contains("near are features.4.weight, features.4.bias"), "{text}");
    let text = message(train().param("unfreeze", ["head"]).param("tune_epochs", 1).run());
    assert!(text.contains("`unfreeze`: the pattern \"head\" means no parameter"), "{text}");
    let text = message(train().param("freeze", ["backbone", "classifier"]).run());
    assert!(text.contains("leaves nothing to train"), "{text}");
    // Running statistics are no parameters that are trained.
    let text = message(train().param("freeze", ["*.running_mean"]).run());
    assert!(text.contains("means no parameter"), "{text}");
}

#[test]
fn patterns_reach_the_stages_of_timms_networks() {
    for (arch, stem, stage, head) in [
        ("resnetv2_50", "stem", "stages.0", "head.fc"),
        ("mobilenetv2_100", "conv_stem", "blocks.0.*", "classifier"),
        ("efficientnet_b0", "conv_stem", "blocks.0", "classifier"),
    ] {
        let net = network(arch, None);
        let names = |list: &[&str]| -> Vec<String> {
            let held = frozen(&net, &patterns(list)).unwrap();
            net.trainable().zip(held).filter(|(_, held)| *held).map(|(spec, _)| spec.name.clone()).collect()
        };
        assert_eq!(names(&[head]).len(), 2, "{arch}");
        assert_eq!(names(&["backbone"]).len() + 2, net.trainable().count(), "{arch}");
        assert!(!names(&["backbone"]).iter().any(|name| name.starts_with(head)), "{arch}");
        assert!(names(&[stem]).iter().all(|name| name.starts_with(stem)), "{arch}");
        let stage_names = names(&[stage]);
        assert!(stage_names.len() >= 6 && !stage_names.iter().any(|name| name.starts_with("stages.1")), "{arch}");
    }
}

#[test]
fn balanced_classes_count_alike() {
    let set = Dataset::from_file(&bars::real()).unwrap();
    let stage = |weights: &str| {
        train().param("norm", "none").param("epochs", 1).param("batch_size", 64).param("class_weights", weights)
    };
    let loss = |weights: &str| json(&stage(weights).run().unwrap(), "metrics")["loss"].as_f64().unwrap();
    // One step: the loss is that of the fresh network.
    let overrides = Overrides { norm: Some(Norm::None), width: Some(8), ..Overrides::default() };
    let net = Network::new(&NetworkSpec::named("convnet2", &overrides, 1, [16, 16], 3).unwrap()).unwrap();
    let fresh = net.init(stream(0, "init", 0).generator(), Device::Cpu).unwrap();
    let logs = net.forward(&fresh, &set.floats(), Mode::Train).unwrap().logits.log_softmax(1, Kind::Double);
    let each = -logs.gather(1, &set.labels.unsqueeze(1), false).squeeze();
    let counts = [20.0, 5.0, 12.0];
    let by_class: Vec<f64> = (0..3)
        .map(|class| f64::try_from((&each * set.labels.eq(class).to_kind(Kind::Double)).sum(Kind::Double)).unwrap())
        .collect();
    let plain: f64 = by_class.iter().sum::<f64>() / 37.0;
    let balanced: f64 = by_class.iter().zip(counts).map(|(sum, count)| sum / count).sum::<f64>() / 3.0;
    assert!((loss("none") - plain).abs() < 1e-5, "{} and {plain}", loss("none"));
    assert!((loss("balanced") - balanced).abs() < 1e-5, "{} and {balanced}", loss("balanced"));
    assert!((plain - balanced).abs() > 1e-4, "the case tells nothing apart");
}
