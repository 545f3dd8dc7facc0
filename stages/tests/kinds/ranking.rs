//! `evaluate.ranking`: which results are runs, which are tries, and what does not fit together; and `label.synthetic`,
//! whose sets it scores.

use crate::host::small::Small;
use crate::host::{Stage, json, message, tensors};
use ddpipe_interface::Value;
use ddpipe_nn::stream::stream;
use ddpipe_stages::artifact::{Dataset, Normalisation, SyntheticSet, TensorFile};
use serde_json::{Value as Json, json};
use tch::{Device, Kind, Tensor};

/// A result of `evaluate.classifier`, with what `change` makes of it.
fn result(accuracies: &[f64], images: u64, change: Json) -> Json {
    let tested = accuracies.len() as u64 * 30;
    let mut document = json!({
        "origin": "MNIST",
        "network": { "arch": "mlp" },
        "images": images,
        "labels": "hard",
        "protocol": { "epochs": 300, "lr": 0.01, "augment": "none" },
        "accuracies": accuracies,
        "confusion": [[tested, 0], [tested, tested]],
    });
    for (key, value) in change.as_object().unwrap() {
        match value {
            Json::Object(inner) => inner.iter().for_each(|(name, value)| document[key][name] = value.clone()),
            value => document[key] = value.clone(),
        }
    }
    document
}

fn add(stage: Stage, input: &str, document: Json) -> Stage {
    stage.result(input, &[("stage", Value::String(input.into()))], &[], &[], document)
}

/// One run of everything; `input` is changed.
fn with(input: &str, change: Json) -> Stage {
    let inputs = [("whole", 0.9, 60000), ("hard", 0.6, 100), ("own", 0.7, 100), ("random", 0.5, 100)];
    inputs.into_iter().fold(Stage::of("evaluate.ranking"), |stage, (name, accuracy, images)| {
        let change = if name == input { change.clone() } else { json!({}) };
        add(stage, name, result(&[accuracy], images, change))
    })
}

fn close(got: &Json, expected: f64) {
    assert!((got.as_f64().unwrap() - expected).abs() < 1e-12, "{got} is not {expected}");
}

#[test]
fn scores_are_differences_of_accuracies() {
    let outputs = with("none", json!({})).run().unwrap();
    let document = json(&outputs, "metrics");
    close(&document["hlr"], 0.3);
    close(&document["ior"], 0.2);
    // alpha = -0.05.
    let alpha = 0.5f64 * 0.2 - 0.5 * 0.3;
    close(&document["lrs"], (alpha.exp() - (-1f64).exp()) / (1f64.exp() - (-1f64).exp()));
    assert_eq!((outputs.metrics["lrs_std"], document.get("ars")), (0.0, None));
}

#[test]
fn without_a_protocol_of_its_own_the_set_is_scored_by_its_hard_labels() {
    let stage = add(Stage::of("evaluate.ranking"), "whole", result(&[0.9], 60000, json!({})));
    let stage = add(add(stage, "hard", result(&[0.6], 100, json!({}))), "random", result(&[0.5], 100, json!({})));
    close(&json(&stage.run().unwrap(), "metrics")["ior"], 0.1);
}

#[test]
fn every_run_takes_the_best_of_what_was_tuned() {
    let mut stage = Stage::of("evaluate.ranking").param("tuned", ["lr"]);
    stage = add(stage, "whole", result(&[0.9], 60000, json!({})));
    for (lr, accuracies) in [(0.1, [0.5, 0.8]), (0.01, [0.6, 0.7])] {
        let change = json!({ "protocol": { "lr": lr } });
        stage = stage.result("hard", &[("lr", Value::Float(lr))], &[], &["lr"], result(&accuracies, 100, change));
    }
    for (seed, lr, accuracy) in [(0, 0.1, 0.3), (0, 0.01, 0.4), (1, 0.1, 0.2), (1, 0.01, 0.1)] {
        let labels = [("seed", Value::Integer(seed)), ("lr", Value::Float(lr))];
        let change = json!({ "protocol": { "lr": lr } });
        stage = stage.result("random", &labels, &[], &["seed", "lr"], result(&[accuracy], 100, change));
    }
    let outputs = stage.run().unwrap();
    let accuracies = &json(&outputs, "metrics")["accuracies"];
    assert_eq!(accuracies["whole"], json!([0.9, 0.9]));
    assert_eq!((&accuracies["hard"], &accuracies["random"]), (&json!([0.6, 0.8]), &json!([0.4, 0.2])));
    // 0.2 and 0.6: mean 0.4, deviation 0.4 / sqrt(2).
    close(&json(&outputs, "metrics")["ior"], 0.4);
    close(&json(&outputs, "metrics")["ior_std"], 0.4 / 2f64.sqrt());
}

#[test]
fn what_does_not_fit_together_is_refused_by_name() {
    let cases = [
        (
            "random",
            json!({ "confusion": [[30, 0], [0, 31]] }),
            "\"whole\" and \"random\" differ in the test set (90 and 61",
        ),
        (
            "hard",
            json!({ "network": { "arch": "lenet" } }),
            "\"whole\" and \"hard\" differ in the network ({\"arch\":\"mlp\"} and",
        ),
        (
            "random",
            json!({ "images": 500 }),
            "\"hard\" and \"random\" differ in the number of training images (100 and 500)",
        ),
        ("whole", json!({ "images": 100 }), "input \"whole\" learnt from 100 images, input \"hard\" from 100"),
        ("hard", json!({ "labels": "soft" }), "input \"hard\" learnt from soft labels"),
        ("own", json!({ "labels": "soft" }), "\"own\" and \"random\" differ in the labels (soft and hard)"),
        ("random", json!({ "protocol": { "epochs": 9 } }), "\"own\" and \"random\" differ in epochs (300 and 9)"),
        ("own", json!({ "protocol": null }), "input \"own\" does not say how its students were trained"),
        ("own", json!({ "origin": "KMNIST" }), "\"whole\" and \"own\" differ in where the images come from"),
        ("whole", json!({ "accuracies": null }), "there is no test accuracy in it; connect a test set"),
    ];
    for (input, change, expected) in cases {
        let text = message(with(input, change).run());
        assert!(text.contains(expected), "{text}\ndoes not say: {expected}");
    }
    // The rate alone may differ: it may have been tuned for each set.
    with("random", json!({ "protocol": { "lr": 0.1 } })).run().unwrap();
}

#[test]
fn runs_are_counted_and_unlike_results_are_not_taken_for_runs() {
    let two = |name: &str| result(&[0.5, 0.6], if name == "whole" { 60000 } else { 100 }, json!({}));
    let stage =
        ["whole", "hard"].into_iter().fold(Stage::of("evaluate.ranking"), |stage, name| add(stage, name, two(name)));
    let text = message(add(stage, "random", result(&[0.5], 100, json!({}))).run());
    assert!(text.contains("input \"random\" holds 1 runs, input \"hard\" 2"), "{text}");

    let labels = [("stage", Value::String("hard".into())), ("method", Value::String("dm".into()))];
    let stage = with("none", json!({}));
    let stage = stage.result("hard", &labels, &[], &[], result(&[0.6], 100, json!({})));
    let text = message(stage.run());
    assert!(text.contains("input \"hard\" holds results that differ in \"method\"; name it in `over`"), "{text}");
}

#[test]
fn the_augmentation_robust_score_needs_both_sides() {
    let augmented = json!({ "protocol": { "augment": "dsa", "strategy": "crop" } });
    let base = |own: &Json| {
        let stage = add(Stage::of("evaluate.ranking"), "whole", result(&[0.9], 60000, json!({})));
        let stage = add(stage, "hard", result(&[0.6], 100, json!({})));
        add(add(stage, "own", result(&[0.7], 100, own.clone())), "random", result(&[0.5], 100, own.clone()))
    };
    let plain = |stage: Stage| add(stage, "own_plain", result(&[0.65], 100, json!({})));
    let random_plain = |stage: Stage| add(stage, "random_plain", result(&[0.55], 100, json!({})));
    let outputs = random_plain(plain(base(&augmented))).run().unwrap();
    close(&json(&outputs, "metrics")["ior_plain"], 0.1);
    // beta = 0.15.
    let ars = (0.15f64.exp() - (-1f64).exp()) / (1f64.exp() - (-1f64).exp());
    assert!((outputs.metrics["ars"] - ars).abs() < 1e-12);

    let text = message(plain(base(&augmented)).run());
    assert!(text.contains("\"own_plain\" is connected and \"random_plain\" is not"), "{text}");
    let text = message(random_plain(plain(base(&json!({})))).run());
    assert!(text.contains("input \"own\" has augment = \"none\", input \"own_plain\" \"none\""), "{text}");
}

/// Two classes of 1x8x8 images, dark and bright, two of each.
fn set() -> (TensorFile, TensorFile) {
    let bright = Tensor::from_slice(&[0f32, 0.0, 1.0, 1.0]).reshape([4, 1, 1, 1]);
    let images = stream(3, "images", 0).uniform_tensor(&[4, 1, 8, 8], 0.0, 0.2) + bright;
    let labels = Tensor::from_slice(&[0i64, 0, 1, 1]);
    let normalisation = Normalisation::new(vec![0.0], vec![1.0]);
    let (images, classes) = (images.to_kind(Kind::Float), 2);
    let real = Dataset {
        images: images.copy(),
        labels: labels.copy(),
        agreement: None,
        classes,
        normalisation: normalisation.clone(),
        scale: 1.0,
        origin: "sample data: light".into(),
        class_names: Vec::new(),
    };
    let synthetic = SyntheticSet {
        images,
        labels,
        classes,
        ipc: 2,
        normalisation,
        origin: real.origin.clone(),
        class_names: Vec::new(),
        lr: None,
        targets: false,
        decoder: None,
    };
    (real.to_file(), synthetic.to_file())
}

/// A ranking of four sets, and labels of a teacher and without one.
pub fn small() -> Vec<Small> {
    let (real, synthetic) = set();
    let teacher = Stage::of("train.classifier").tensors("train", "train", &real).param("arch", "mlp");
    let teacher = teacher.param("epochs", 2).run().unwrap();
    let label = Stage::of("label.synthetic").tensors("synthetic", "set", &synthetic);
    vec![
        Small::of(with("none", json!({}))),
        Small::of(label.again().input("model", "teacher", &teacher.artifacts["model"])).named("soft"),
        Small::of(label.param("labels", "hard")).named("hard"),
    ]
}

#[test]
fn a_teacher_labels_softly_and_hard_labels_come_back() {
    let (real, synthetic) = set();
    let train = Stage::of("train.classifier").tensors("train", "train", &real).param("arch", "mlp");
    let teacher = train.param("epochs", 30).param("schedule", "constant").run().unwrap();
    let label = |set: &TensorFile| Stage::of("label.synthetic").tensors("synthetic", "set", set);
    let soft = label(&synthetic).input("model", "teacher", &teacher.artifacts["model"]).run().unwrap();
    let soft = tensors(&soft, "synthetic");
    let labels = soft.get("labels").unwrap();
    assert_eq!((labels.size(), labels.kind()), (vec![4, 2], Kind::Float));
    let sums: Vec<f32> = Vec::try_from(labels.sum_dim_intlist(1, false, Kind::Float)).unwrap();
    assert!(sums.iter().all(|sum| (sum - 1.0).abs() < 1e-6), "{sums:?}");
    assert_eq!(Vec::<i64>::try_from(labels.argmax(1, false)).unwrap(), [0, 0, 1, 1]);
    assert!(labels.max().double_value(&[]) < 1.0, "a softmax is never sure: {labels}");

    let hard = label(soft).param("labels", "hard").run().unwrap();
    let hard = tensors(&hard, "synthetic");
    assert_eq!(hard.to_bytes().unwrap(), synthetic.to_device(Device::Cpu).to_bytes().unwrap());
    let text = message(label(&synthetic).run());
    assert!(text.contains("soft labels come from a teacher; connect input \"model\""), "{text}");
}

#[test]
fn students_say_which_labels_and_which_protocol() {
    let (real, synthetic) = set();
    let stage = Stage::of("evaluate.classifier").tensors("synthetic", "set", &synthetic).tensors("test", "test", &real);
    let outputs = stage.param("arch", "mlp").param("students", 1).param("epochs", 2).run().unwrap();
    let document = json(&outputs, "metrics");
    assert_eq!(document["labels"], "hard");
    let expected = json!({
        "epochs": 2, "batch_size": 256, "lr": 0.01, "momentum": 0.9, "weight_decay": 0.0005, "schedule": "step",
        "augment": "none", "strategy": null,
    });
    assert_eq!(document["protocol"], expected);
}
