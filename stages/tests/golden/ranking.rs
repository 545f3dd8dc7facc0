//! Golden cases of family `ranking`: accuracies in, and the scores that DD-Ranking's own package made of them. They are
//! driven through `evaluate.ranking`, so that pairing, folding and weighing are held too.

use crate::host::{Stage, json};
use crate::walker::{self, Case, Report};
use serde_json::{Value, json};

/// What `evaluate.classifier` says, in short, of students with these accuracies.
fn students(accuracies: &[f64], images: u64, augment: &str) -> Value {
    let tested = accuracies.len() as u64 * 50;
    json!({
        "origin": "MNIST",
        "network": { "arch": "mlp" },
        "images": images,
        "labels": "hard",
        "protocol": { "epochs": 300, "lr": 0.01, "augment": augment },
        "accuracies": accuracies,
        "confusion": [[tested, 0], [0, tested]],
    })
}

fn numbers(value: &Value, scale: f64) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap() * scale).collect()
}

/// Runs one row of a table. Inputs that a row does not have are stood in for by some that change none of its scores.
fn score(row: &Value) -> Value {
    let unit = row["unit"].as_str().unwrap();
    let scale = if unit == "percent" { 0.01 } else { 1.0 };
    let given = |name: &str| row["accuracies"].get(name).map(|values| numbers(values, scale));
    let other = given("own").or_else(|| given("hard")).unwrap();
    let mut stage = Stage::of("evaluate.ranking").param("unit", unit);
    stage = stage.param("weight", &row["weight"]).param("augment_weight", &row["weight"]);
    for name in ["whole", "hard", "own", "random", "own_plain", "random_plain"] {
        let accuracies = match (name, given(name)) {
            (_, Some(accuracies)) => accuracies,
            ("whole" | "hard", None) => other.clone(),
            _ => continue,
        };
        let (images, augment) = match name {
            "whole" => (60000, "none"),
            "own_plain" | "random_plain" => (100, "none"),
            _ => (100, "dsa"),
        };
        stage = stage.result(name, &[], &[], &[], students(&accuracies, images, augment));
    }
    json(&stage.run().unwrap(), "metrics").clone()
}

fn check(case: &Case, report: &mut Report) {
    for (position, row) in case.list("cases").iter().enumerate() {
        let got = score(row);
        let runs = got["runs"].as_f64().unwrap();
        for (name, expected) in row["expected"].as_object().unwrap() {
            let expected = expected.as_f64().unwrap();
            let mut value = got[name].as_f64().unwrap();
            // The package divides the variance by n, ddpipe by n - 1.
            if name.ends_with("_std") {
                value *= ((runs - 1.0) / runs).sqrt();
            }
            // Differences are shares here, and percent in the package; scores have no unit.
            if row["unit"] == "percent" && !["lrs", "ars"].contains(&name.trim_end_matches("_std")) {
                value *= 100.0;
            }
            let close = (value - expected).abs() <= case.number("/tolerance/rel") * expected.abs().max(1.0);
            report.check(case, &format!("row {position}: {name} is {expected}, got {value}"), close);
        }
    }
}

#[test]
fn cases() {
    walker::run("ranking", check);
}
