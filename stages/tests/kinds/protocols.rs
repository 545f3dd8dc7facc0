//! Named protocols: the table of docs/protocols.md is that of the declaration, and what they set is what the authors'
//! evaluations do.

use crate::walker::{self, Case};
use ddpipe_interface::{Declaration, Param, Value};
use ddpipe_stages::registry;
use indexmap::IndexMap;
use std::path::Path;

const BEGIN: &str = "<!-- table of protocols: written from stages/params/protocol.toml by DDPIPE_BLESS=1 cargo test --workspace --test stages protocols -->";
const END: &str = "<!-- end of the table of protocols -->";

fn declaration(kind: &str) -> Declaration {
    registry::find(kind).unwrap().declared().unwrap()
}

fn protocol() -> Param {
    declaration("evaluate.classifier").params.swap_remove("protocol").unwrap()
}

/// A row for every source of every protocol, with the values that are from it.
fn table() -> String {
    let mut text = String::from("| protocol | sets | source |\n| --- | --- | --- |\n");
    for (name, settings) in &protocol().sets {
        let mut rows: IndexMap<&str, Vec<String>> = IndexMap::new();
        for (param, setting) in settings {
            rows.entry(&setting.source).or_default().push(format!("`{param} = {}`", setting.value));
        }
        for (place, (source, values)) in rows.iter().enumerate() {
            let name = if place == 0 { format!("`{name}`") } else { String::new() };
            text.push_str(&format!("| {name} | {} | {source} |\n", values.join(", ")));
        }
    }
    text
}

#[test]
fn the_table_in_the_documentation_is_that_of_the_declaration() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/protocols.md");
    let text = std::fs::read_to_string(&file).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("docs/protocols.md has the mark where its table begins");
    let (written, after) = rest.split_once(END).expect("docs/protocols.md has the mark where its table ends");
    let table = table();
    if std::env::var_os("DDPIPE_BLESS").is_some() {
        std::fs::write(&file, format!("{before}{BEGIN}\n\n{table}\n{END}{after}")).unwrap();
        return;
    }
    assert!(written.trim() == table.trim(), "DDPIPE_BLESS=1 writes the table of docs/protocols.md anew");
}

#[test]
fn every_protocol_says_all_of_a_training() {
    let protocol = protocol();
    assert_eq!(protocol.sets.keys().collect::<Vec<_>>(), protocol.choices.iter().collect::<Vec<_>>());
    for (name, settings) in &protocol.sets {
        let one_of = |names: &[&str]| names.iter().any(|name| settings.contains_key(*name));
        for alternatives in [
            ["epochs", "steps"].as_slice(),
            &["batch_size", "batch_sizes"],
            &["lr", "learned_lr"],
            &["optimiser"],
            &["weight_decay"],
            &["schedule"],
            &["augment"],
        ] {
            assert!(one_of(alternatives), "{name} sets none of {alternatives:?}");
        }
        for fixed in ["arch", "students", "width"] {
            assert!(!settings.contains_key(fixed), "{name} sets {fixed}");
        }
        assert!(settings.values().all(|setting| !setting.source.trim().is_empty()), "{name}");
    }
}

#[test]
fn every_kind_that_has_protocols_has_all_of_them() {
    for kind in ["train.classifier", "train.teacher", "distill.knowledge"] {
        assert_eq!(declaration(kind).params["protocol"], protocol(), "{kind}");
    }
}

/// What the golden table of rates says of the authors' evaluations.
#[test]
fn steps_and_rates_are_those_of_the_golden_table() {
    let case = Case::load(&walker::own_folder().join("students/rates.json")).unwrap();
    let protocol = protocol();
    let value = |name: &str, param: &str| protocol.sets[name][param].value.clone();
    let numbers = |value: Value| match value {
        Value::List(values) => values.iter().map(|value| value.to_string()).collect::<Vec<_>>(),
        other => vec![other.to_string()],
    };
    let steps = case.value("/warmup_cosine/steps_by_images_in_the_set").as_object().unwrap();
    let listed: Vec<(String, String)> =
        numbers(value("frepo", "sizes")).into_iter().zip(numbers(value("frepo", "steps"))).collect();
    assert_eq!(listed.len(), steps.len());
    for (size, count) in listed {
        assert_eq!(count, steps[&size].to_string(), "{size} images");
    }
    for (name, rule) in [
        ("frepo", "warmup_cosine"),
        ("rcig", "warmup_cosine_rcig"),
        ("rded", "half_cosine"),
        ("sre2l", "cosine_all_decay"),
        ("ncfm", "multistep_half"),
        ("idc", "multistep_fifth"),
        ("repdistiller", "multistep_tenth_1_based"),
    ] {
        let row = case.value(&format!("/{rule}/rows/0"));
        let same = |param: &str, key: &str| {
            if let Some(number) = row[key].as_f64() {
                let own: f64 = value(name, param).to_string().parse().unwrap();
                assert!(own == number, "{name}: {param} = {own}, and {number} in {rule}");
            }
        };
        same("lr", "lr");
        same("epochs", "epochs");
        same("warmup_steps", "warmup");
        same("lr_end", "alpha");
    }
}
