//! How students are trained: optimisers, schedules, averages and mixtures, one student after another and several together;
//! named protocols; students that diverge.

use super::classifiers::{evaluate, in_both_layouts, synthetic, train, with_targets};
use crate::host::small::Small;
use crate::host::{Stage, json, message, tensors};
use ddpipe_nn::layout::Layout;
use ddpipe_nn::network::NetworkSpec;
use ddpipe_stages::artifact::Model;
use serde_json::{Value, json};

/// A short training with these parameters, of two students.
fn with(params: Value) -> Stage {
    given(evaluate(&synthetic(4, false)).param("students", 2).param("epochs", 3).param("lr", 0.01), &params)
}

fn given(stage: Stage, params: &Value) -> Stage {
    params.as_object().unwrap().iter().fold(stage, |stage, (name, value)| stage.param(name, value))
}

fn losses(document: &Value) -> Vec<f64> {
    let students = document["epochs"].as_array().unwrap();
    let epochs = students.iter().flat_map(|student| student.as_array().unwrap());
    epochs.map(|epoch| epoch["loss"].as_f64().unwrap()).collect()
}

/// Without a norm, whose biases in front Adam moves by the signs of rounding noise.
#[test]
fn every_way_to_train_is_the_same_one_after_another_and_together() {
    let adam = |more: Value| {
        let mut params = json!({ "optimiser": "adam", "norm": "none" });
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        params
    };
    let cases = [
        json!({ "nesterov": true, "schedule": "linear", "lr_end": 0.1 }),
        json!({ "decayed": "matrices", "weight_decay": 0.1, "schedule": "half_cosine", "rate_by": "step" }),
        adam(
            json!({ "weight_decay": 0.01, "schedule": "cosine", "warmup_steps": 3, "rate_by": "step", "lr_end": 0.01 }),
        ),
        json!({ "optimiser": "adamw", "norm": "none", "weight_decay": 0.1, "schedule": "step", "warmup_epochs": 1 }),
        json!({ "optimiser": "adamw", "norm": "none", "decayed": "matrices", "schedule": "multistep", "milestones": [0.4, 2] }),
        json!({ "ema": 0.8, "ema_start": "zero", "norm": "batch", "norm_passes": 2, "schedule": "constant" }),
        json!({ "mixup": 0.8, "cutmix": 1.0, "mix_share": 0.7, "label_smoothing": 0.1 }),
        json!({ "dropout": 0.5 }),
        json!({ "doubling": true, "sizes": [10, 12], "steps": [2, 5], "batch_sizes": [4, 6] }),
    ];
    for params in cases {
        let [pieces, together] = in_both_layouts(&with(params.clone()));
        assert_eq!(pieces["protocol"], together["protocol"], "{params}");
        let (own, all) = (losses(&pieces), losses(&together));
        assert_eq!(own.len(), all.len(), "{params}");
        for (own, all) in own.iter().zip(&all) {
            assert!((own - all).abs() < 1e-3 * own.abs(), "{params}: {own} and {all}");
        }
        let off = pieces["accuracy"].as_f64().unwrap() - together["accuracy"].as_f64().unwrap();
        assert!(off.abs() < 0.03, "{params}: {off}");
        // What is set does something.
        let usual = in_both_layouts(&with(json!({})))[0].clone();
        assert_ne!((&usual["accuracies"], losses(&usual)), (&pieces["accuracies"], own), "{params}");
    }
}

#[test]
fn a_training_with_all_of_it_continues_to_the_same_bytes() {
    let params = json!({
        "students": 1, "epochs": 6, "optimiser": "adamw", "norm": "batch", "ema": 0.9, "ema_start": "zero", "norm_passes": 2,
        "schedule": "cosine", "rate_by": "step", "warmup_steps": 5, "mixup": 1.0, "mix_share": 0.5, "label_smoothing": 0.1,
    });
    for layout in [Layout::Pieces, Layout::Together] {
        let small = Small::of(with(params.clone())).continues(4, [4, 8, 12]);
        layout.on_cpu(|| small.keeps_its_promises()).unwrap();
    }
}

#[test]
fn steps_and_batches_follow_the_size_of_the_set() {
    let run = |params: Value| json(&with(params).run().unwrap(), "metrics")["protocol"].clone();
    // Twelve images.
    let of = |params: Value| {
        let protocol = run(params);
        (protocol["epochs"].as_u64(), protocol["steps"].as_u64(), protocol["batch_size"].as_u64())
    };
    assert_eq!(of(json!({ "sizes": [12, 100], "steps": [5, 9] })), (Some(3), Some(5), Some(8)));
    assert_eq!(of(json!({ "sizes": [4, 9], "steps": [5, 9], "batch_sizes": [1, 4] })), (Some(3), Some(9), Some(4)));
    assert_eq!(of(json!({ "steps": [2] })), (Some(1), Some(2), Some(8)));
    assert_eq!(of(json!({ "sizes": [4, 9], "steps": [5], "batch_sizes": [1, 4] })), (Some(2), Some(5), Some(4)));
    let text = message(with(json!({ "sizes": [12, 100], "steps": [5, 6, 7] })).run());
    assert!(text.contains("steps has 3 entries; give one for each of the 2 entries of sizes"), "{text}");
    let text = message(with(json!({ "sizes": [12, 10], "steps": [5, 6] })).run());
    assert!(text.contains("have to rise"), "{text}");
}

#[test]
fn what_contradicts_itself_is_said_before_training() {
    let text = message(with(json!({ "warmup_steps": 3, "warmup_epochs": 1 })).run());
    assert!(text.contains("two lengths of one warm-up"), "{text}");
    let text = message(given(evaluate(&with_targets(4)), &json!({ "label_smoothing": 0.1 })).run());
    assert!(text.contains("label_smoothing = 0.1 is for cross entropy"), "{text}");
    // Three epochs of two steps, and a last one at the lower rate.
    let text = message(with(json!({ "warmup_steps": 9 })).run());
    assert!(text.contains("warmup_steps = 9 is longer than the whole training, 8 steps"), "{text}");
    let text = message(with(json!({ "schedule": "multistep", "milestones": [3, 4] })).run());
    assert!(text.contains("milestones = [3.0, 4.0] all lie behind the 3 epochs"), "{text}");
    let text = message(with(json!({ "doubling": true, "arch": "vit", "width": 32, "depth": 1 })).run());
    assert!(text.contains("doubling = true is for convnets"), "{text}");
}

/// The average is what is tested and what the model holds.
#[test]
fn a_model_holds_the_average_of_its_parameters() {
    let model = |params: Value| {
        let outputs = given(train(), &params).run().unwrap();
        let model = Model::from_file(tensors(&outputs, "model")).unwrap();
        let accuracies: Vec<f64> = json(&outputs, "metrics")["epochs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|epoch| epoch["accuracy"].as_f64().unwrap())
            .collect();
        (model.tensors, accuracies)
    };
    let (last, _) = model(json!({ "epochs": 2, "schedule": "constant" }));
    let (average, tested) = model(json!({ "epochs": 2, "schedule": "constant", "ema": 0.99 }));
    // Eight steps move an average that starts from a copy by a few percent only: the first test is of hardly more than it.
    assert_ne!(last["classifier.weight"], average["classifier.weight"]);
    assert!(tested[0] < 0.9, "{tested:?}");
}

#[test]
fn a_student_that_diverges_counts_as_it_is() {
    let stage = with(json!({ "norm": "none", "lr": 1e20, "students": 2 }));
    let outputs = stage.again().run().unwrap();
    let document = json(&outputs, "metrics");
    assert_eq!(outputs.metrics["diverged"], 2.0);
    assert!(!outputs.metrics.contains_key("loss") && document["loss"].is_null());
    assert_eq!(document["diverged"].as_array().unwrap().len(), 2);
    // Three classes with as many test images each.
    assert!((outputs.metrics["accuracy"] - 1.0 / 3.0).abs() < 1e-9, "{}", outputs.metrics["accuracy"]);
    let [pieces, together] = in_both_layouts(&stage);
    for name in ["diverged", "accuracies", "train_accuracies"] {
        assert_eq!(pieces[name], together[name], "{name}");
    }
    let sound = with(json!({})).run().unwrap();
    assert!(sound.metrics["diverged"] == 0.0 && json(&sound, "metrics").get("diverged").is_none());
}

/// What FRePo's students are: Adam with a warm-up, no norm, blocks that double.
#[test]
fn a_protocol_sets_what_is_not_given() {
    let stage = evaluate(&with_targets(4)).param("students", 1).param("protocol", "frepo");
    let outputs = stage.param("steps", [501]).param("sizes", [12]).run().unwrap();
    let document = json(&outputs, "metrics");
    let protocol = &document["protocol"];
    assert_eq!((protocol["optimiser"].as_str(), protocol["warmup_steps"].as_u64()), (Some("adam"), Some(500)));
    // The stage gives its own rate and batch size.
    assert_eq!((protocol["lr"].as_f64(), protocol["batch_size"].as_u64()), (Some(0.05), Some(8)));
    let spec: NetworkSpec = serde_json::from_value(document["network"].clone()).unwrap();
    let text = serde_json::to_string(&spec.architecture).unwrap();
    assert!(text.contains("[8,16]") && text.contains("\"norm\":\"none\""), "{text}");
}
