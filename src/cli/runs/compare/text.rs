//! A comparison for people.

use super::Titled;
use crate::comparison::{Comparison, Difference, Group, Side};
use crate::history::Past;
use crate::number::significant;
use crate::table::Table;
use std::fmt::Write as _;

/// So many nodes without a result are named; `--json` names all.
const LACKING: usize = 20;

/// A run in a line.
pub(super) fn of_run(past: &Past) -> String {
    let name = past.seen.name.as_ref().map_or(String::new(), |name| format!(" ({name})"));
    let unended = if past.ended().is_none() { "; it has not ended: its results are not compared" } else { "" };
    let begun = crate::when::long(past.begun());
    format!("{}{name}, {}, {begun}{unended}", past.seen.id, past.seen.pipeline)
}

/// How much of a manifest is on record.
pub(super) fn on_record(side: &Side) -> String {
    let there = side.outcomes.values().filter(|node| node.lacking.is_none()).count();
    format!(", {there} of {} nodes on record", side.outcomes.len())
}

pub(super) fn of(a: &Titled, b: &Titled, found: &Comparison) -> String {
    let mut text = format!("a: {}\nb: {}\n", a.title, b.title);
    if found.is_empty() {
        let same = match found.same_results {
            0 => String::new(),
            same => format!("; {same} results are the same"),
        };
        let _ = writeln!(text, "\nno differences{same}");
        lacking(&mut text, found);
        return text;
    }
    let sections = [("called", &found.circumstances), ("variables", &found.variables)];
    sections.into_iter().for_each(|(title, differences)| pairs(&mut text, title, differences));
    for diff in &found.manifest {
        let _ = write!(text, "\n{diff}");
    }
    let sections = [
        ("nodes", &found.nodes),
        ("parameters", &found.params),
        ("sources", &found.sources),
        ("numerics", &found.numerics),
        ("expectations", &found.expectations),
    ];
    sections.into_iter().for_each(|(title, differences)| pairs(&mut text, title, differences));
    if !found.again.is_empty() {
        let _ = writeln!(text, "\nother actions in b, or run again");
    }
    for again in &found.again {
        let _ = writeln!(text, "  {}: {}", again.node, again.because.join(", "));
    }
    lacking(&mut text, found);
    results(&mut text, found);
    if !found.pictures.is_empty() {
        let _ = writeln!(text, "\npictures");
    }
    for Difference { what, a, b } in &found.pictures {
        let [a, b] = [a, b].map(|path| path.as_deref().unwrap_or("-"));
        let _ = writeln!(text, "  {what}\n    a: {a}\n    b: {b}");
    }
    text
}

fn pairs(text: &mut String, title: &str, differences: &[Difference]) {
    if differences.is_empty() {
        return;
    }
    let mut table = Table::new([title, "a", "b"]);
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".into());
    for difference in differences {
        table.row(vec![difference.what.clone(), value(&difference.a), value(&difference.b)]);
    }
    let _ = write!(text, "\n{}", table.text());
}

fn lacking(text: &mut String, found: &Comparison) {
    if found.lacking.is_empty() {
        return;
    }
    let mut table = Table::new(["without a result", "a", "b"]);
    let words = |why: &Option<String>| why.clone().unwrap_or_else(|| "on record".into());
    for lacking in found.lacking.iter().take(LACKING) {
        table.row(vec![lacking.what.clone(), words(&lacking.a), words(&lacking.b)]);
    }
    let _ = write!(text, "\n{}", table.text());
    if found.lacking.len() > LACKING {
        let _ = writeln!(text, "and {} more", found.lacking.len() - LACKING);
    }
}

fn results(text: &mut String, found: &Comparison) {
    if !found.groups.is_empty() {
        let mut table = Table::new(["results", "metric", "a", "b", "b - a", "95% interval"]);
        for group in &found.groups {
            let [a, b] = [&group.a, &group.b].map(numbers);
            table.row(vec![group.node.clone(), group.metric.clone(), a, b, signed(group.difference), interval(group)]);
        }
        let _ = write!(text, "\n{}", table.text());
    }
    if found.same_results > 0 {
        let _ = writeln!(text, "\n{} results are the same", found.same_results);
    }
}

/// `0.9555 ± 0.0006 (n 3)`.
fn numbers(side: &crate::baseline::Side) -> String {
    match side.deviation {
        Some(deviation) => format!("{} ± {} (n {})", significant(side.mean), significant(deviation), side.n),
        None => significant(side.mean),
    }
}

fn interval(group: &Group) -> String {
    match (group.interval, group.without) {
        (Some([low, high]), _) => format!("{} to {}", signed(low), signed(high)),
        (None, without) => without.unwrap_or_default().to_string(),
    }
}

fn signed(value: f64) -> String {
    match value {
        value if !value.is_finite() => "-".into(),
        value if value > 0.0 => format!("+{}", significant(value)),
        value => significant(value),
    }
}
