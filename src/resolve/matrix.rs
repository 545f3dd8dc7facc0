//! The axes that a stage declares itself: lists and ranges of scalars, checked. How axes travel from stage to stage is
//! decided in `join.rs`.

use super::size::{MAX_AXES, MAX_AXIS_TEXT, MAX_BYTES};
use crate::address::{value_matches, value_text};
use crate::diagnostic::{Diagnostic, Place, Report, did_you_mean};
use crate::manifest::StageTable;
use crate::manifest::document::{Item, Raw, Table};
use ddpipe_interface::Value;
use indexmap::{IndexMap, IndexSet};

/// A pipeline has at most so many nodes.
pub const MAX_NODES: usize = 100_000;

/// The axes of a stage's own, in the order written.
pub type Axes = IndexMap<String, Axis>;

/// One axis of a stage's own.
#[derive(Clone, Debug)]
pub struct Axis {
    /// The place of its name in the manifest.
    pub key: Place,
    /// Its values, no two alike, each with its place.
    pub values: Vec<(Value, Place)>,
}

/// Reads the axes of a stage; none where one of them is at fault.
pub fn axes(stage: &StageTable, report: &mut Report) -> Option<Axes> {
    let before = report.diagnostics.len();
    let mut axes = Axes::new();
    if stage.matrix.len() > MAX_AXES {
        report.push(Diagnostic::at(&stage.key, format!("the stage has more than {MAX_AXES} axes")));
        return None;
    }
    let mut whole = true;
    for (name, entry) in &stage.matrix {
        let values = match &entry.item.raw {
            Raw::List(items) => list(items, report),
            Raw::Table(range) => values_of_range(range, &entry.item, report),
            Raw::Faulty => None,
            _ => {
                let message =
                    format!("expected a list or a range of values for axis {name:?}, found {}", entry.item.describe());
                report.push(entry.item.fault(message).help("write [\"a\", \"b\"] or { from = 0, to = 4 }"));
                None
            }
        };
        let Some(values) = values else {
            whole = false;
            continue;
        };
        if values.is_empty() {
            report.push(entry.item.fault(format!("axis {name:?} has no values")));
        }
        let long = |(value, _): &&(Value, Place)| matches!(value, Value::String(text) if text.len() > MAX_AXIS_TEXT);
        if let Some((_, place)) = values.iter().find(long) {
            report.push(Diagnostic::at(place, format!("a value of an axis has at most {MAX_AXIS_TEXT} bytes")));
        }
        // A range has none.
        if let Raw::List(_) = entry.item.raw {
            duplicates(name, &values, report);
        }
        if name == "seed" {
            for (value, place) in values.iter().filter(|(value, _)| !matches!(value, Value::Integer(0..))) {
                report.push(Diagnostic::at(
                    place,
                    format!("a seed is a whole number from 0; found {}", value.describe()),
                ));
            }
        }
        axes.insert(name.clone(), Axis { key: entry.key.clone(), values });
    }
    let combinations = axes.values().map(|axis| axis.values.len()).try_fold(1usize, usize::checked_mul);
    if combinations.is_none_or(|count| count > MAX_NODES) {
        report.push(Diagnostic::at(&stage.key, format!("the stage's matrix has more than {MAX_NODES} combinations")));
    } else if combinations.unwrap_or(0).saturating_mul(longest(&axes)) > MAX_BYTES {
        let message = format!("the axes of the stage's combinations have more than {MAX_BYTES} bytes");
        report.push(Diagnostic::at(&stage.key, message));
    }
    (whole && report.diagnostics.len() == before).then_some(axes)
}

/// The bytes of a combination in which every value is the longest of its axis.
fn longest(axes: &Axes) -> usize {
    let text = |(value, _): &(Value, Place)| if let Value::String(text) = value { text.len() } else { 0 };
    axes.iter().map(|(name, axis)| 64 + name.len() + axis.values.iter().map(text).max().unwrap_or(0)).sum()
}

fn list(items: &[Item], report: &mut Report) -> Option<Vec<(Value, Place)>> {
    let mut values = Some(Vec::new());
    for item in items {
        match (item.to_value(), &mut values) {
            (Some(Value::List(_)) | None, _) => {
                match &item.raw {
                    Raw::Faulty => {}
                    Raw::Template(_) => report.push(item.fault("an axis cannot refer to another axis")),
                    _ => {
                        report.push(item.fault(format!("the values of an axis are scalars; found {}", item.describe())))
                    }
                }
                values = None;
            }
            (Some(value), Some(values)) => values.push((value, item.place.clone())),
            (Some(_), None) => {}
        }
    }
    values
}

fn values_of_range(range: &Table, item: &Item, report: &mut Report) -> Option<Vec<(Value, Place)>> {
    let before = report.diagnostics.len();
    for (name, entry) in range {
        if !["from", "to", "step"].contains(&name.as_str()) {
            let near = did_you_mean(name, ["from", "to", "step"]);
            report.push(Diagnostic::at(&entry.key, format!("key {name:?} is not known in a range{near}")));
        }
    }
    let mut number = |key: &str, default: Option<i64>| match range.get(key).map(|entry| &entry.item) {
        Some(Item { raw: Raw::Integer(number), .. }) => Some(*number),
        Some(Item { raw: Raw::Faulty, .. }) => None,
        Some(other) => {
            report.push(other.fault(format!("{key:?} of a range is an integer; found {}", other.describe())));
            None
        }
        None if default.is_some() => default,
        None => {
            report.push(
                Diagnostic::at(&item.place, format!("the range has no {key:?}")).help("write { from = 0, to = 4 }"),
            );
            None
        }
    };
    let (from, to, step) = (number("from", None), number("to", None), number("step", Some(1)));
    let (from, to, step) = (from?, to?, step?);
    if step < 1 {
        report.push(item.fault("\"step\" of a range is at least 1"));
    } else if to < from {
        report.push(item.fault(format!("the range from {from} to {to} has no values")));
    } else if to.abs_diff(from) / step.unsigned_abs() >= MAX_NODES as u64 {
        report.push(item.fault(format!("the range has more than {MAX_NODES} values")));
    }
    if report.diagnostics.len() > before {
        return None;
    }
    let numbers = std::iter::successors(Some(from), |last| last.checked_add(step).filter(|next| *next <= to));
    Some(numbers.map(|number| (Value::Integer(number), item.place.clone())).collect())
}

fn duplicates(name: &str, values: &[(Value, Place)], report: &mut Report) {
    let mut seen = std::collections::HashMap::new();
    for (value, place) in values {
        // 1 and 1.0 are alike too: a selector could not tell them apart.
        let text = match value {
            Value::Integer(number) => value_text(&Value::Float(*number as f64)),
            other => value_text(other),
        };
        if let Some(first) = seen.insert(text, place) {
            let fault = Diagnostic::at(place, format!("axis {name:?} has the value {} twice", value_text(value)));
            report.push(fault.and(first, "the first"));
        }
    }
}

/// One entry of `matrix.exclude`: the values that a combination must have to be left out.
pub type Exclusion = Vec<(String, Value)>;

/// Reads `matrix.exclude` against all axes of the stage.
pub fn exclusions(item: Option<&Item>, axes: &IndexMap<String, Vec<Value>>, report: &mut Report) -> Vec<Exclusion> {
    let Some(item) = item else { return Vec::new() };
    let Raw::List(entries) = &item.raw else {
        report.push(item.fault(format!("expected a list of tables, found {}", item.describe())));
        return Vec::new();
    };
    let mut exclusions = Vec::new();
    for entry in entries {
        let Some(table) = entry.as_table().filter(|table| !table.is_empty()) else {
            let found = if entry.as_table().is_some() { "an empty one".into() } else { entry.describe() };
            let fault = entry.fault(format!("expected a table of axes, found {found}"));
            report.push(fault.help("write exclude = [{ method = \"dm\", seed = 1 }]"));
            continue;
        };
        exclusions.push(table.iter().filter_map(|(name, entry)| exclusion(name, entry, axes, report)).collect());
    }
    exclusions
}

fn exclusion(
    name: &str,
    entry: &crate::manifest::document::Entry,
    axes: &IndexMap<String, Vec<Value>>,
    report: &mut Report,
) -> Option<(String, Value)> {
    let Some(values) = axes.get(name) else {
        let near = did_you_mean(name, axes.keys().map(String::as_str));
        report.push(Diagnostic::at(&entry.key, format!("the stage has no axis {name:?}{near}")));
        return None;
    };
    let text = match entry.item.to_value()? {
        Value::String(text) => text,
        other => value_text(&other),
    };
    let known = values.iter().find(|value| value_matches(value, &text));
    if known.is_none() {
        report.push(entry.item.fault(unknown_value(name, &text, values)));
    }
    known.map(|value| (name.to_string(), value.clone()))
}

/// `axis "method" has no value "dmm"; did you mean "dm"?`
pub fn unknown_value(axis: &str, text: &str, values: &[Value]) -> String {
    let texts: Vec<_> = values.iter().map(value_text).collect();
    let near = did_you_mean(text, texts.iter().map(String::as_str));
    let near = if near.is_empty() { format!("; it has {}", shortened(&texts)) } else { near };
    format!("axis {axis:?} has no value {text:?}{near}")
}

/// `stage "evaluate" has no axis "methd"; did you mean "method"?`
pub fn unknown_axis<'a>(who: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: IndexSet<&str> = known.into_iter().collect();
    let near = did_you_mean(name, known.iter().copied());
    let verb = if who.starts_with("none") { "has" } else { "has no" };
    let known: Vec<_> = known.into_iter().collect();
    match (near.is_empty(), known.is_empty()) {
        (false, _) => format!("{who} {verb} axis {name:?}{near}"),
        (true, true) => format!("{who} {verb} axis {name:?}"),
        (true, false) => format!("{who} {verb} axis {name:?}; the axes are {}", known.join(", ")),
    }
}

/// The first texts of a list, for messages.
pub fn shortened(texts: &[String]) -> String {
    let shown = texts.iter().take(8).map(String::as_str).collect::<Vec<_>>().join(", ");
    if texts.len() > 8 { format!("{shown}, … ({} in all)", texts.len()) } else { shown }
}
