//! The labels that students of `evaluate.classifier` learn from: the set's own, hard ones, or a teacher's, once or anew for
//! every batch, by one student or several together.

use crate::bars::{CLASSES, real, start};
use crate::host::small::Small;
use crate::host::{Stage, json, message, tensors};
use ddpipe_nn::layout::Layout;
use ddpipe_nn::network::{Chunk, Network, NetworkSpec};
use ddpipe_stages::artifact::{Dataset, Model, SyntheticSet, TensorFile};
use ddpipe_stages::context::Outputs;
use tch::Kind;

fn teacher() -> Outputs {
    let stage = Stage::of("train.classifier").tensors("train", "train", &real()).param("arch", "convnet2");
    stage.param("width", 8).param("epochs", 4).param("batch_size", 8).param("lr", 0.05).run().unwrap()
}

/// The set with probabilities, or with regression targets, instead of its classes.
fn with_labels(targets: bool) -> TensorFile {
    let set = SyntheticSet::from_file(&start()).unwrap();
    let classes = set.labels.one_hot(CLASSES).to_kind(Kind::Float);
    let labels = if targets { &classes * 1.5 - 0.4 } else { &classes * 0.7 + 0.1 };
    SyntheticSet { labels, targets, ..set }.to_file()
}

fn evaluate(set: &TensorFile, labels: &str) -> Stage {
    evaluate_on(&real(), set, labels)
}

fn evaluate_on(test: &TensorFile, set: &TensorFile, labels: &str) -> Stage {
    let stage = Stage::of("evaluate.classifier").tensors("synthetic", "set", set).tensors("test", "test", test);
    let stage = stage.param("arch", "convnet2").param("width", 4).param("epochs", 4).param("batch_size", 4);
    stage.param("lr", 0.02).param("students", 2).param("labels", labels)
}

fn by(teacher: &Outputs, set: &TensorFile, labels: &str) -> Stage {
    evaluate(set, labels).input("teacher", "teacher", &teacher.artifacts["model"])
}

pub fn small() -> Vec<Small> {
    let stage = by(&teacher(), &start(), "teacher_every_epoch").param("augment", "dsa").param("temperature", 4.0);
    // Two students of ten steps and a test.
    vec![Small::of(stage).named("labels by a teacher").continues(6, [6, 11, 17])]
}

fn document(stage: Stage) -> serde_json::Value {
    let mut document = json(&stage.run().unwrap(), "metrics").clone();
    document.as_object_mut().unwrap().remove("protocol");
    document
}

fn close(what: &str, one: &serde_json::Value, other: &serde_json::Value, tolerance: f64) {
    let (one, other) = (one.as_f64().unwrap(), other.as_f64().unwrap());
    assert!((one - other).abs() <= tolerance * one.abs().max(1e-6), "{what}: {one} and {other}");
}

#[test]
fn own_labels_are_those_of_the_set_and_hard_ones_the_class_of_the_place() {
    let hard = document(evaluate(&start(), "own"));
    assert_eq!(hard["labels"], "hard");
    assert_eq!(document(evaluate(&start(), "hard")), hard);
    for targets in [false, true] {
        assert_eq!(document(evaluate(&with_labels(targets), "hard")), hard, "targets {targets}");
    }
    let soft = document(evaluate(&with_labels(false), "soft"));
    assert_eq!(soft["labels"], "soft");
    assert_eq!(document(evaluate(&with_labels(false), "own")), soft);
    assert_ne!(soft["epochs"], hard["epochs"]);
}

/// A teacher's labels, once, are those of `label.synthetic`; students learn the same from either, and the loss differs by
/// the entropy of the labels.
#[test]
fn a_teachers_labels_are_those_of_label_synthetic() {
    let teacher = teacher();
    let labelled = Stage::of("label.synthetic").tensors("synthetic", "set", &start());
    let labelled = labelled.input("model", "model", &teacher.artifacts["model"]).run().unwrap();
    let own = document(evaluate(tensors(&labelled, "synthetic"), "own"));
    let stage = || by(&teacher, &start(), "teacher");
    let once = document(stage());
    assert_eq!(once["labels"], "soft");
    assert!(once["loss"].as_f64().unwrap() < own["loss"].as_f64().unwrap());
    let entropy = document(stage().param("loss", "cross_entropy"));
    close("loss", &own["loss"], &entropy["loss"], 1e-3);
    close("accuracy", &own["accuracy"], &entropy["accuracy"], 0.05);
    close("accuracy", &own["accuracy"], &once["accuracy"], 0.05);
    let protocol = json(&stage().param("temperature", 4.0).run().unwrap(), "metrics")["protocol"].clone();
    assert_eq!(protocol["teacher"], serde_json::json!({ "labels": "once", "temperature": 4.0 }));
    // Without augmentation the images are the same in every epoch, and so are their labels.
    let every = document(by(&teacher, &start(), "teacher_every_epoch"));
    close("loss", &once["loss"], &every["loss"], 1e-3);
    // The classes of a set do not matter to students that learn its teacher's.
    let (hard, soft) = (document(stage()), document(by(&teacher, &with_labels(false), "teacher")));
    assert_eq!(hard["epochs"], soft["epochs"]);
}

/// What the loss of the first step is, worked out by hand for the images that are shown.
#[test]
fn labels_of_every_epoch_are_those_of_the_images_as_shown() {
    let teacher = teacher();
    let model = Model::from_file(tensors(&teacher, "model")).unwrap();
    let network = Network::new(&serde_json::from_value::<NetworkSpec>(model.network).unwrap()).unwrap();
    let parameters = network.load(&model.tensors.into_iter().collect()).unwrap();
    let set = SyntheticSet::from_file(&start()).unwrap();
    let logits = network.forward_chunked(&parameters, &set.images, Chunk(4)).unwrap();
    // A student whose outputs are all the same: a learning rate of next to nothing, and a temperature that flattens.
    let stage = by(&teacher, &start(), "teacher_every_epoch").param("temperature", 1e6).param("lr", 1e-9);
    assert!(document(stage)["loss"].as_f64().unwrap().abs() < 1e-5);
    let labels = (&logits / 2.0).softmax(-1, Kind::Double);
    let least = (&labels * labels.log()).sum(Kind::Double).double_value(&[]) / set.images.size()[0] as f64;
    let stage = || by(&teacher, &start(), "teacher_every_epoch").param("temperature", 2.0).param("lr", 1e-9);
    let divergence = document(stage())["loss"].as_f64().unwrap();
    let entropy = document(stage().param("loss", "cross_entropy"))["loss"].as_f64().unwrap();
    assert!((entropy - divergence + least).abs() < 1e-4, "{entropy} less {divergence} is not {}", -least);
    let moved = document(stage().param("augment", "dsa"))["loss"].as_f64().unwrap();
    assert!((moved - divergence).abs() > 1e-5, "other images have other labels: {moved} and {divergence}");
}

#[test]
fn students_together_learn_a_teachers_labels_as_each_does_by_itself() {
    let teacher = teacher();
    for (labels, augment) in
        [("teacher", "none"), ("teacher_every_epoch", "dsa"), ("teacher_every_epoch", "idc_cutmix")]
    {
        let stage = by(&teacher, &start(), labels).param("augment", augment).param("temperature", 4.0);
        let [one, all] = [Layout::Pieces, Layout::Together].map(|layout| {
            layout.on_cpu(|| json(&stage.again().run().unwrap(), "metrics")["epochs"].as_array().unwrap().clone())
        });
        for (one, all) in one.iter().zip(&all) {
            close(labels, &one[3]["loss"], &all[3]["loss"], 5e-3);
        }
    }
}

#[test]
fn what_a_regime_lacks_is_said_with_the_way_out() {
    let text = message(evaluate(&start(), "soft").run());
    assert!(text.contains("the labels of \"synthetic\" are hard; connect input \"teacher\" and give labels"), "{text}");
    let text = message(evaluate(&with_labels(true), "soft").run());
    assert!(text.contains("are regression targets and no probabilities; connect input"), "{text}");
    for labels in ["teacher", "teacher_every_epoch"] {
        let text = message(evaluate(&start(), labels).run());
        assert!(text.contains(&format!("labels = \"{labels}\" come from a trained network; connect input")), "{text}");
    }
    let teacher = teacher();
    let text = message(by(&teacher, &start(), "teacher").param("loss", "mse").run());
    assert!(text.contains("give loss = \"auto\""), "{text}");
    let other = {
        let set = SyntheticSet::from_file(&start()).unwrap();
        let mut normalisation = set.normalisation.clone();
        normalisation.mean[0] += 0.2;
        SyntheticSet { normalisation, ..set }.to_file()
    };
    let text = message(by(&teacher, &other, "teacher").run());
    assert!(text.contains("the network of \"teacher\" belongs to images of mean"), "{text}");
    let smaller = SyntheticSet::from_file(&start()).unwrap();
    let images = smaller.images.narrow(2, 0, 12).contiguous();
    let smaller = SyntheticSet { images, ..smaller }.to_file();
    let mut test = Dataset::from_file(&real()).unwrap();
    test.images = test.images.narrow(2, 0, 12).contiguous();
    let stage = evaluate_on(&test.to_file(), &smaller, "teacher");
    let text = message(stage.input("teacher", "teacher", &teacher.artifacts["model"]).run());
    assert!(text.contains("the network of \"teacher\""), "{text}");
}
