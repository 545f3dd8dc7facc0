//! `search.ipc`, driven as the engine drives it: it asks for what it needs, is run again with it, and answers.

use crate::host::small::Small;
use crate::host::{Stage, json, message};
use ddpipe_interface::{ArtifactType, Value};
use ddpipe_stages::context::{Artifact, Outputs};
use serde_json::json;

/// Numbers of images per class, and the accuracies of two seeds of each.
const NUMBERS: [i64; 6] = [1, 2, 5, 10, 20, 50];
const SEEDS: [[f64; 6]; 2] = [[0.50, 0.60, 0.78, 0.88, 0.93, 0.96], [0.54, 0.66, 0.80, 0.92, 0.95, 0.98]];

fn whole() -> Artifact {
    Artifact::Json(ArtifactType::Metrics, json!({ "accuracy": 0.99, "origin": "sample data: digits" }))
}

/// The stage with the results at these places; all others could be asked for.
fn search(given: &[usize]) -> Stage {
    let mut stage = Stage::of("search.ipc").input("whole", "whole.metrics", &whole());
    for position in 0..12 {
        let (number, seed) = (position % 6, position / 6);
        let labels = [("ipc", Value::Integer(NUMBERS[number])), ("seed", Value::Integer(seed as i64))];
        stage = match given.contains(&position) {
            true => stage.result("results", &labels, &[("accuracy", SEEDS[seed][number])], &[], json!({})),
            false => stage.absent("results", position, &labels),
        };
    }
    stage
}

pub fn small() -> Vec<Small> {
    let found = [3, 9, 1, 7, 2, 8];
    vec![
        Small::of(search(&[]).param("share", 0.9)).named("asks for results"),
        Small::of(search(&found).param("share", 0.9)).named("finds a number"),
    ]
}

/// Runs it until it asks for nothing more; what was asked for in each round.
fn go(share: f64) -> (Vec<Vec<usize>>, Outputs) {
    let (mut given, mut rounds) = (Vec::new(), Vec::new());
    loop {
        let outputs = search(&given).param("share", share).run().unwrap();
        let Some(asked) = outputs.asks.get("results") else { return (rounds, outputs) };
        given.extend(asked);
        rounds.push(asked.clone());
    }
}

#[test]
fn it_asks_for_all_seeds_of_one_number_after_the_other_and_finds_the_smallest() {
    let (rounds, outputs) = go(0.9);
    // Target 0.891: 10 images give 0.90 on average, 5 give 0.79.
    assert_eq!(rounds, [[3, 9], [1, 7], [2, 8]]);
    let found = json(&outputs, "metrics");
    assert_eq!((found["found"].as_i64(), found["choices"].as_array().unwrap().len()), (Some(10), 6));
    assert_eq!(found["origin"], "sample data: digits");
    let looked: Vec<_> = found["looked_at"].as_array().unwrap().iter().map(|at| at["number"].as_i64()).collect();
    assert_eq!(looked, [Some(2), Some(5), Some(10)]);
    assert_eq!((outputs.metrics["ipc"], outputs.metrics["looked_at"]), (10.0, 3.0));
    assert!((outputs.metrics["accuracy"] - 0.90).abs() < 1e-12);
    assert!((outputs.metrics["share"] - 0.90 / 0.99).abs() < 1e-12);
}

#[test]
fn when_no_number_reaches_the_target_it_says_so_and_gives_no_number() {
    let (rounds, outputs) = go(1.0);
    assert_eq!(rounds, [[3, 9], [5, 11]]);
    assert!(json(&outputs, "metrics")["found"].is_null());
    assert!(!outputs.metrics.contains_key("ipc"));
}

#[test]
fn what_cannot_be_searched_is_named() {
    let text = message(search(&[]).param("axis", "images").run());
    assert_eq!(text, "search.ipc: the gathered results have no axis \"images\"; they have: ipc, seed");
    let text = message(search(&[3]).param("value", "auc").run());
    assert!(text.contains("input \"whole\" has no result \"auc\""), "{text}");
    let text = message(search(&[]).absent("results", 12, &[("ipc", Value::String("many".into()))]).run());
    assert_eq!(text, "search.ipc: axis \"ipc\" has to hold whole numbers; found the string \"many\"");
}
