//! `search.candidates` and `search.nas_proxy`, driven as the worker drives them: that a search repeats, comes to the
//! same in parts, survives a candidate that diverges, and that a comparison shows the numbers which were worked out by hand.

use crate::host::small::Small;
use crate::host::{Event, Stage, byte_set, json, message, text};
use ddpipe_interface::Value;
use ddpipe_interface::protocol::LogLevel;
use ddpipe_nn::stream::stream;
use ddpipe_stages::artifact::{Normalisation, TensorFile};
use ddpipe_stages::context::Outputs;
use ddpipe_stages::search::candidates::space::{Form, Lists, Space};
use serde_json::json as value;
use tch::{Kind, Tensor};

const CLASSES: i64 = 3;

/// Noisy images [N,1,16,16]; each class has a bright bar at its own place.
fn bars(purpose: &str, per_class: i64) -> TensorFile {
    let images = stream(5, purpose, 0).uniform_tensor(&[CLASSES * per_class, 1, 16, 16], 0.0, 100.0);
    for class in 0..CLASSES {
        let mut bar = images.narrow(0, class * per_class, per_class).narrow(2, 4 * class + 1, 3);
        let _ = bar.g_add_scalar_(120.0);
    }
    let labels = Tensor::arange(CLASSES, (Kind::Int64, tch::Device::Cpu));
    let labels = labels.repeat_interleave_self_int(per_class, 0, None);
    let normalisation = Normalisation::new(vec![0.2], vec![0.25]);
    let (images, origin) = (images.to_kind(Kind::Uint8), "sample data: bars".to_string());
    byte_set(images, labels, CLASSES, normalisation, origin).to_file()
}

/// 5 of 16 ConvNets.
fn search() -> Stage {
    let stage = Stage::of("search.candidates").tensors("train", "train", &bars("train", 8));
    let stage = stage.tensors("test", "test", &bars("test", 20)).param("widths", [4, 8]).param("depths", [1, 2]);
    let stage = stage.param("norms", ["batch", "instance"]).param("activations", ["relu", "sigmoid"]);
    let stage = stage.param("poolings", ["average"]).param("candidates", 5).param("space_seed", 1);
    stage.param("epochs", 3).param("batch_size", 8).param("lr", 0.05)
}

/// Stopped in an epoch, between candidates and while testing; with a rate of 1e30 all candidates diverge.
pub fn small() -> Vec<Small> {
    let of = |rate: f64| search().param("augment", "dsa").param("lr", rate).param("max_steps", 8);
    let labels = [("stage", text_of("dm"))];
    let metrics = [("seconds", 4.0), ("test_seconds", 1.5)];
    let proxy = listed(&[0.4, 0.3, 0.6, 0.5, 0.7]);
    vec![
        Small::of(of(0.05)).continues(5, [5, 9, 14, 18, 23, 27, 32, 36, 40]),
        Small::of(of(1e30)).named("all diverge").continues(5, [9, 18, 27, 35]),
        Small::of(against_the_whole(&WHOLE).result("proxies", &labels, &metrics, &[], proxy)),
    ]
}

fn candidates(outputs: &Outputs) -> Vec<serde_json::Value> {
    json(outputs, "metrics")["candidates"].as_array().unwrap().clone()
}

#[test]
fn a_search_trains_and_tests_what_the_space_holds_and_repeats() {
    let outputs = search().run().unwrap();
    let document = json(&outputs, "metrics");
    assert_eq!(document["space"], value!({ "form": "grid", "size": 16, "candidates": 5, "space_seed": 1 }));
    assert_eq!((&document["images"], &document["steps"]), (&value!(24), &value!(12)));
    assert_eq!(document["origin"], "sample data: bars");
    let tested = candidates(&outputs);
    assert_eq!((tested.len(), outputs.metrics["candidates"]), (5, 5.0));
    assert!(outputs.metrics["best_accuracy"] > 0.8, "{tested:?}");
    assert!(tested.iter().all(|one| one["diverged"] == false && one["loss"].as_f64().is_some()), "{tested:?}");
    assert!(tested[0]["name"].as_str().unwrap().starts_with("w4 d"), "{}", tested[0]["name"]);
    assert!(tested[0]["parameters"].as_i64().unwrap() > 0 && tested[0]["flops"].as_i64().unwrap() > 0);
    // Wall time is with the record alone.
    assert!(outputs.metrics["seconds"] >= outputs.metrics["test_seconds"] && outputs.metrics["test_seconds"] > 0.0);
    assert!(!document.to_string().contains("seconds\""), "{document}");

    assert_eq!(*document, *json(&search().run().unwrap(), "metrics"));
    // The same networks whatever the stage's seed, trained otherwise.
    let other = candidates(&search().seed(1).run().unwrap());
    let indices = |list: &[serde_json::Value]| list.iter().map(|one| one["index"].clone()).collect::<Vec<_>>();
    assert_eq!(indices(&other), indices(&tested));
    assert!(other.iter().zip(&tested).all(|(a, b)| a["loss"] != b["loss"]));
    let others = candidates(&search().param("space_seed", 2).run().unwrap());
    assert_ne!(indices(&others), indices(&tested));
}

#[test]
fn parts_are_the_same_as_one_piece() {
    let whole = candidates(&search().run().unwrap());
    let mut parts: Vec<_> =
        (0..3).flat_map(|part| candidates(&search().param("part", part).param("parts", 3).run().unwrap())).collect();
    parts.sort_by_key(|one| one["index"].as_u64());
    assert_eq!(parts, whole);
}

#[test]
fn a_candidate_that_diverges_is_marked_and_the_search_goes_on() {
    let stage = search().param("lr", 1e30);
    let recorder = stage.recorder();
    let outputs = stage.run().unwrap();
    let tested = candidates(&outputs);
    assert_eq!((tested.len(), outputs.metrics["diverged"]), (5, 5.0));
    assert!(tested.iter().all(|one| one["diverged"] == true && one["loss"].is_null()), "{tested:?}");
    assert!(tested.iter().all(|one| one["accuracy"].as_f64().is_some_and(|accuracy| accuracy < 0.7)), "{tested:?}");
    let said = |event: &Event| matches!(event, Event::Log(LogLevel::Info, text) if text.contains("no longer finite"));
    assert_eq!(recorder.events().iter().filter(|event| said(event)).count(), 5);
}

#[test]
fn early_stopping_ends_in_the_middle_of_an_epoch_and_is_the_start_of_the_whole_training() {
    let stopped = search().param("max_steps", 4).run().unwrap();
    assert_eq!(json(&stopped, "metrics")["steps"], 4);
    // 3 steps are an epoch: stopping after 3 at a constant rate is a training of one epoch.
    let constant = || search().param("schedule", "constant");
    let three = candidates(&constant().param("max_steps", 3).run().unwrap());
    assert_eq!(three, candidates(&constant().param("epochs", 1).run().unwrap()));
    assert_ne!(three, candidates(&stopped));
    // More steps than the epochs have change nothing.
    assert_eq!(candidates(&constant().param("max_steps", 10).run().unwrap()), candidates(&constant().run().unwrap()));
}

#[test]
fn random_cnns_train_too() {
    let stage = Stage::of("search.candidates").tensors("train", "train", &bars("train", 8));
    let stage = stage.tensors("test", "test", &bars("test", 20)).param("space", "random_cnn");
    let stage = stage.param("widths", [4, 8]).param("depths", [1, 2]).param("candidates", 4);
    let outputs = stage.param("epochs", 4).param("batch_size", 8).param("lr", 0.05).run().unwrap();
    assert_eq!(json(&outputs, "metrics")["space"]["size"], (2 + 4) * 2);
    assert!(outputs.metrics["best_accuracy"] > 0.8, "{:?}", candidates(&outputs));
}

#[test]
fn what_cannot_work_is_said_before_training() {
    let text = message(search().param("candidates", 17).run());
    assert!(text.contains("candidates = 17, but the space has 16 networks"), "{text}");
    let text = message(search().param("part", 1).run());
    assert!(text.contains("part = 1, but parts are counted from 0"), "{text}");
    let text = message(search().param("depths", [5]).run());
    assert!(text.contains(" d5 ") && text.contains("\": images of 16x16 are too small at layer"), "{text}");
    let text = message(search().param("widths", [6]).param("norms", ["group"]).param("candidates", 1).run());
    assert!(text.contains("a width of 6 is not divisible"), "{text}");
}

/// A result of `search.candidates` over the first ConvNets of the published space, with these accuracies.
fn result(accuracies: &[(usize, f64)]) -> serde_json::Value {
    let space = Space::new(Form::Grid, Lists::default()).unwrap().candidates(None, 0).unwrap();
    let entry = |&(index, accuracy): &(usize, f64)| {
        let network =
            value!({ "architecture": space[index].architecture, "channels": 1, "image": [28, 28], "classes": 10 });
        value!({
            "index": index, "name": format!("network {index}"), "network": network, "parameters": 1, "flops": 1,
            "accuracy": accuracy, "loss": 0.5, "diverged": false,
        })
    };
    let candidates: Vec<_> = accuracies.iter().map(entry).collect();
    value!({ "origin": "sample data: none", "images": 100, "steps": 10, "candidates": candidates })
}

fn listed(accuracies: &[f64]) -> serde_json::Value {
    result(&accuracies.iter().copied().enumerate().collect::<Vec<_>>())
}

fn text_of(text: &str) -> Value {
    Value::String(text.into())
}

/// The whole set's search, in two parts.
fn against_the_whole(accuracies: &[f64]) -> Stage {
    let all: Vec<(usize, f64)> = accuracies.iter().copied().enumerate().collect();
    let mut stage = Stage::of("search.nas_proxy");
    for part in 0..2 {
        let own: Vec<_> = all.iter().copied().skip(part).step_by(2).collect();
        // A single stage is gathered, so the engine does not say which.
        let labels = [("part", Value::Integer(part as i64))];
        let metrics = [("seconds", 50.0 + part as f64), ("test_seconds", 1.0)];
        stage = stage.result("whole", &labels, &metrics, &[], result(&own));
    }
    stage
}

const WHOLE: [f64; 5] = [0.90, 0.95, 0.80, 0.99, 0.97];

#[test]
fn a_comparison_shows_what_was_worked_out_by_hand() {
    // Ranks 2 1 4 3 5 against 2 3 1 5 4 of the whole set: rho = 1 - 6 (0+4+9+4+1) / (5 * 24) = 0.1; of 10 pairs 5 agree.
    let proxy = [0.4, 0.3, 0.6, 0.5, 0.7];
    let (labels, metrics) = ([("stage", text_of("dm"))], [("seconds", 4.0), ("test_seconds", 1.5)]);
    let outputs = against_the_whole(&WHOLE).result("proxies", &labels, &metrics, &[], listed(&proxy)).run().unwrap();
    let near = |name: &str, expected: f64| {
        let got = outputs.metrics[name];
        assert!((got - expected).abs() < 1e-12, "{name}: {got}, expected {expected}");
    };
    near("spearman", 0.1);
    near("kendall", 0.0);
    // Of networks 4, 2, 3 (0.97, 0.80, 0.99): ranks 3 2 1 against 2 1 3.
    near("spearman_top", 1.0 - 6.0 * (1.0 + 1.0 + 4.0) / 24.0);
    near("kendall_top", (1.0 - 2.0) / 3.0);
    near("top_candidates", 3.0);
    near("accuracy", 0.97);
    near("best_rank", 2.0);
    near("whole_accuracy", 0.99);
    near("seconds", 4.0);
    near("training_seconds", 2.5);
    near("whole_seconds", 101.0);
    near("candidates", 5.0);

    let document = json(&outputs, "metrics");
    assert_eq!(document["proxies"][0]["top_candidates"], value!([4, 2, 3]));
    assert_eq!(document["whole"]["best"]["name"], "network 3");
    assert_eq!(document["candidates"][2], value!({ "index": 2, "name": "network 2", "whole": 0.8, "proxies": [0.6] }));
    let table = text(&outputs, "markdown");
    assert!(table.starts_with("**Proxies for the whole set in a search (sample data)**\n"), "{table}");
    assert!(
        table.contains("| dm | 100 | 10 | 0.100 | 0.000 | -0.500 | -0.333 | network 4 | 97.00 | 2 | 4.0 | 2.5 |"),
        "{table}"
    );
    assert!(
        table.contains("| whole | 100 | 10 | 1.000 | 1.000 | 1.000 | 1.000 | network 3 | 99.00 | 1 | 101.0 | 99.0 |"),
        "{table}"
    );
    assert_eq!(json(&outputs, "table")["rows"], value!(["dm", "whole"]));
}

#[test]
fn the_top_may_be_the_whole_sets() {
    let labels = [("stage", text_of("dm"))];
    let metrics = [("seconds", 4.0), ("test_seconds", 1.5)];
    let stage =
        || against_the_whole(&WHOLE).result("proxies", &labels, &metrics, &[], listed(&[0.4, 0.3, 0.6, 0.5, 0.7]));
    let outputs = stage().param("top_by", "whole").run().unwrap();
    // Networks 3, 4, 1: 0.99 0.97 0.95 against 0.5 0.7 0.3.
    assert!((outputs.metrics["spearman_top"] - 0.5).abs() < 1e-12, "{:?}", outputs.metrics);
    let outputs = stage().param("top", 1.0).run().unwrap();
    assert_eq!(outputs.metrics["spearman_top"], outputs.metrics["spearman"]);
}

#[test]
fn proxies_are_told_apart_by_their_labels_and_folded_axes_are_averaged() {
    let mut stage = against_the_whole(&WHOLE);
    let metrics = [("seconds", 4.0), ("test_seconds", 1.0)];
    for (method, seed, proxy) in [
        ("random", 0, [0.1, 0.2, 0.3, 0.4, 0.5]),
        ("herding", 0, [0.80, 0.85, 0.70, 0.89, 0.87]),
        ("random", 1, [0.5, 0.4, 0.3, 0.2, 0.4]),
        ("herding", 1, [0.80, 0.85, 0.70, 0.89, 0.87]),
    ] {
        let labels = [("method", text_of(method)), ("seed", Value::Integer(seed))];
        stage = stage.result("proxies", &labels, &metrics, &["seed"], listed(&proxy));
    }
    let outputs = stage.run().unwrap();
    let herding = outputs.metrics["proxy[method=herding].spearman"];
    assert!((herding - 1.0).abs() < 1e-12, "{herding}");
    assert_eq!(outputs.metrics["proxy[method=herding].seconds"], 4.0);
    let random = json(&outputs, "metrics")["proxies"][0].clone();
    assert_eq!((&random["search"], &random["runs"]), (&value!("proxy[method=random]"), &value!(2)));
    // Means 0.3 0.3 0.3 0.3 0.45: the last is chosen, the others are tied whatever the sums round to.
    assert_eq!(random["best"]["index"], 4);
    assert_eq!(random["top_candidates"], value!([4, 0, 1]));
    assert!(!outputs.metrics.contains_key("spearman"));
}

#[test]
fn other_candidates_are_an_error_that_names_them() {
    let metrics = [("seconds", 4.0), ("test_seconds", 1.0)];
    let labels = [("stage", text_of("dm"))];
    let with = |document| message(against_the_whole(&WHOLE).result("proxies", &labels, &metrics, &[], document).run());
    let text = with(listed(&WHOLE[..4]));
    let expected = "only whole has \"network 4\" (number 4; 5 candidates against 4)";
    assert!(text.contains(expected) && text.contains("gather every part"), "{text}");
    let text = with(result(&[(0, 0.1), (1, 0.1), (2, 0.1), (3, 0.1), (4, 0.1), (9, 0.1)]));
    assert!(text.contains("only dm has \"network 9\""), "{text}");
    let mut other = listed(&WHOLE);
    other["candidates"][1]["network"]["architecture"]["convnet"]["width"] = value!(33);
    assert!(with(other).contains("number 1 is"));
    let mut other = listed(&WHOLE);
    other["candidates"][1]["network"]["classes"] = value!(2);
    assert!(with(other).contains("other numbers of classes"));
    let text = with(result(&[(0, 0.1), (1, 0.1), (1, 0.1), (3, 0.1), (4, 0.1)]));
    assert!(text.contains("holds candidate \"network 1\" (number 1) twice"), "{text}");
    let text = with(value!({ "accuracy": 0.5 }));
    assert!(text.contains("is not a result of search.candidates"), "{text}");

    let more = [("seed", Value::Integer(1)), ("part", Value::Integer(0))];
    let stage = against_the_whole(&WHOLE).result("whole", &more, &metrics, &[], listed(&WHOLE));
    let text = message(stage.result("proxies", &labels, &metrics, &[], listed(&WHOLE)).run());
    assert!(text.contains("holds 2 searches (whole, whole[seed=1])"), "{text}");
}
