//! `learn.continual`, driven as the worker drives it: what is learnt and forgotten, that only what was seen counts, and
//! what is refused before training.

use crate::host::small::Small;
use crate::host::{Stage, byte_set, json, message};
use ddpipe_nn::stream::stream;
use ddpipe_stages::artifact::{Dataset, Normalisation, SyntheticSet, TensorFile};
use ddpipe_stages::context::Outputs;
use serde_json::{Value, json as document};
use tch::{Device, Kind, Tensor};

const CLASSES: i64 = 4;

/// How much the bars stand out of noise from 0 to 100: easily told apart, and hardly.
const CLEAR: f64 = 120.0;
const FAINT: f64 = 30.0;

/// Noisy images [N,1,8,8] as bytes; each class has a bright bar at its own place. Class by class.
fn bars(purpose: &str, classes: i64, per_class: i64, bright: f64) -> Dataset {
    let images = stream(5, purpose, 0).uniform_tensor(&[classes * per_class, 1, 8, 8], 0.0, 100.0);
    for class in 0..classes {
        let mut bar = images.narrow(0, class * per_class, per_class).narrow(2, 2 * class, 2);
        let _ = bar.g_add_scalar_(bright);
    }
    let labels = Tensor::arange(classes, (Kind::Int64, Device::Cpu)).repeat_interleave_self_int(per_class, 0, None);
    let (images, normalisation) = (images.to_kind(Kind::Uint8), Normalisation::new(vec![0.3], vec![0.25]));
    byte_set(images, labels, classes, normalisation, "sample data")
}

/// Four images of each class. With soft labels, `own` is what an image has of its own class.
fn memory(own: Option<f64>, bright: f64) -> SyntheticSet {
    let real = bars("few", CLASSES, 4, bright);
    let labels = match own {
        None => real.labels.copy(),
        Some(own) => {
            let rest = (1.0 - own) / (CLASSES - 1) as f64;
            (real.labels.one_hot(CLASSES) * (own - rest) + rest).to_kind(Kind::Float)
        }
    };
    let images = real.floats();
    SyntheticSet {
        images,
        labels,
        classes: CLASSES,
        ipc: 4,
        normalisation: real.normalisation,
        origin: real.origin,
        class_names: Vec::new(),
        lr: None,
        targets: false,
        decoder: None,
    }
}

fn stage(memory: &TensorFile, bright: f64) -> Stage {
    let stage = Stage::of("learn.continual").tensors("memory", "memory", memory);
    let stage = stage.tensors("test", "test", &bars("test", CLASSES, 12, bright).to_file()).param("arch", "mlp");
    let stage = stage.param("steps", 2).param("orders", 2).param("students", 2);
    stage.param("epochs", 8).param("batch_size", 6).param("augment", "none")
}

pub fn small() -> Vec<Small> {
    let soft = stage(&memory(Some(0.7), FAINT).to_file(), FAINT).param("augment", "dc");
    vec![Small::of(soft).named("soft labels, augmentation of DC").continues(30, [29, 58, 87, 115, 144, 173])]
}

fn numbers(value: &Value) -> Vec<f64> {
    serde_json::from_value(value.clone()).unwrap()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn close(got: f64, expected: f64) -> bool {
    (got - expected).abs() < 1e-12
}

/// The tasks' accuracies of every student of an order after a step.
fn tasks(metrics: &Value, order: usize, step: usize) -> Vec<Vec<f64>> {
    let students = metrics["orders"][order]["steps"][step]["students"].as_array().unwrap();
    students.iter().map(|student| numbers(&student["tasks"])).collect()
}

#[test]
fn what_is_remembered_is_learnt() {
    for own in [None, Some(0.7)] {
        let outputs = stage(&memory(own, CLEAR).to_file(), CLEAR).run().unwrap();
        assert!(outputs.metrics["accuracy_step_1"] > 0.95, "{:?}", outputs.metrics);
        assert!(outputs.metrics["accuracy"] > 0.8, "{:?}", outputs.metrics);
    }
}

#[test]
fn forgetting_is_what_the_first_classes_lost() {
    let outputs = stage(&memory(None, FAINT).to_file(), FAINT).run().unwrap();
    let metrics = json(&outputs, "metrics");
    let scalar = |name: &str| outputs.metrics[name];
    assert_eq!(scalar("accuracy_step_2"), scalar("accuracy"));
    assert!(close(scalar("average_accuracy"), mean(&[scalar("accuracy_step_1"), scalar("accuracy_step_2")])));
    for name in ["accuracy", "accuracy_std", "average_accuracy", "forgetting"] {
        assert_eq!(metrics[name].as_f64(), Some(scalar(name)), "{name}");
    }
    assert!(metrics.get("seconds").is_none() && scalar("seconds") > 0.0, "wall time is no part of the document");

    let mut lost = Vec::new();
    for order in 0..2 {
        let (first, second) = (tasks(metrics, order, 0), tasks(metrics, order, 1));
        assert_eq!((first.len(), second.len()), (2, 2));
        for (before, after) in first.iter().zip(&second) {
            assert_eq!((before.len(), after.len()), (1, 2));
            lost.push(before[0] - after[0]);
        }
    }
    assert!(close(scalar("forgetting"), mean(&lost)), "{lost:?}");
    assert!(lost.iter().any(|&lost| lost != 0.0), "these sets are to be hard enough that something is lost: {lost:?}");
    // As many test images of every class: the mean over the steps' classes is the accuracy.
    let last: Vec<f64> = (0..2).flat_map(|order| tasks(metrics, order, 1)).map(|tasks| mean(&tasks)).collect();
    assert!(close(scalar("accuracy"), mean(&last)), "{last:?}");
}

#[test]
fn an_order_is_learnt_alike_alone_and_among_others() {
    let set = memory(None, FAINT).to_file();
    let both = stage(&set, FAINT).run().unwrap();
    let second = stage(&set, FAINT).param("orders", 1).param("order_seed", 1).run().unwrap();
    assert_eq!(json(&both, "metrics")["orders"][1], json(&second, "metrics")["orders"][0]);
    let again = stage(&set, FAINT).run().unwrap();
    assert_eq!(json(&both, "metrics"), json(&again, "metrics"));
    let other = stage(&set, FAINT).seed(1).run().unwrap();
    assert_eq!(json(&both, "metrics")["orders"][0]["classes"], json(&other, "metrics")["orders"][0]["classes"]);
    assert_ne!(json(&both, "metrics"), json(&other, "metrics"));
}

#[test]
fn a_given_order_is_followed_and_what_comes_later_changes_no_earlier_step() {
    let run = |set: &SyntheticSet| stage(&set.to_file(), FAINT).param("class_order", [2, 0, 3, 1]).run().unwrap();
    let set = memory(None, FAINT);
    let outputs = run(&set);
    let orders = &json(&outputs, "metrics")["orders"];
    assert_eq!(orders.as_array().unwrap().len(), 1, "one order is given, whatever `orders` says");
    assert_eq!((&orders[0]["classes"], &orders[0]["seed"]), (&document!([[2, 0], [3, 1]]), &Value::Null));

    let images = set.images.copy();
    let _ = images.narrow(0, 3 * 4, 4).fill_(0.0);
    let other = run(&set.with_images(images));
    let steps = |outputs: &Outputs| json(outputs, "metrics")["orders"][0]["steps"].clone();
    assert_eq!(steps(&outputs)[0], steps(&other)[0], "class 3 comes in the second step");
    assert_ne!(steps(&outputs)[1], steps(&other)[1]);
    assert!(tasks(json(&outputs, "metrics"), 0, 1).concat().len() == 4);
}

#[test]
fn soft_labels_say_nothing_of_classes_that_come_later() {
    let set = memory(Some(0.4), FAINT);
    let labels = set.labels.copy();
    let (mut early, mut late) = (labels.narrow(0, 0, 8).narrow(1, 2, 1), labels.narrow(0, 0, 8).narrow(1, 3, 1));
    early.copy_(&(&early + &late));
    let _ = late.fill_(0.0);
    let other = SyntheticSet { labels, ..memory(Some(0.4), FAINT) };
    let run = |set: &SyntheticSet| {
        let outputs = stage(&set.to_file(), FAINT).param("class_order", [0, 1, 2, 3]).param("epochs", 3).run().unwrap();
        json(&outputs, "metrics")["orders"][0]["steps"].clone()
    };
    let (one, two) = (run(&set), run(&other));
    assert_eq!(one[0], two[0]);
    assert_ne!(one[1], two[1]);

    let text = message(stage(&memory(Some(0.0), FAINT).to_file(), FAINT).run());
    assert!(
        text.contains("input \"memory\": the soft label of image 0 gives its own class, 0, a share of 0"),
        "{text}"
    );
}

#[test]
fn all_images_are_a_memory_too_and_one_step_has_nothing_to_forget() {
    let outputs =
        stage(&bars("few", CLASSES, 5, CLEAR).to_file(), CLEAR).param("steps", 1).param("orders", 1).run().unwrap();
    assert!(outputs.metrics["accuracy"] > 0.8, "{:?}", outputs.metrics);
    assert!(!outputs.metrics.contains_key("forgetting") && !outputs.metrics.contains_key("accuracy_step_2"));
    let metrics = json(&outputs, "metrics");
    assert_eq!((&metrics["images"], &metrics["forgetting"]), (&document!(20), &Value::Null));
}

#[test]
fn what_cannot_work_is_said_before_training() {
    let set = memory(None, FAINT).to_file();
    let text = message(stage(&set, FAINT).param("steps", 3).run());
    assert!(text.contains("4 classes do not fall into 3 equal steps; possible: 1, 2, 4"), "{text}");
    let text = message(stage(&set, FAINT).param("class_order", [0, 1, 1, 2]).run());
    assert!(text.contains("`class_order` names class 1 twice"), "{text}");
    let text = message(stage(&set, FAINT).param("class_order", [0, 1, 2]).run());
    assert!(text.contains("`class_order` names 3 classes, the memory has 4"), "{text}");
    let text = message(stage(&set, FAINT).param("class_order", [0, 1, 2, 4]).run());
    assert!(text.contains("`class_order` names class 4, there are 0 to 3"), "{text}");
    let text = message(stage(&set, FAINT).param("order_seed", u32::MAX).run());
    assert!(text.contains("ask for the seed 4294967296; numpy's legacy seeds end at 4294967295"), "{text}");

    let learn = || Stage::of("learn.continual").tensors("memory", "memory", &set).param("steps", 2);
    let text = message(learn().tensors("test", "test", &bars("test", 3, 2, CLEAR).to_file()).run());
    assert!(text.contains("input \"test\" has 3 classes, the training images have 4"), "{text}");
    let test = Dataset { classes: CLASSES, ..bars("test", 3, 2, CLEAR) };
    let text = message(learn().tensors("test", "test", &test.to_file()).run());
    assert!(text.contains("input \"test\" has no image of class 3; every class needs one"), "{text}");
}
