//! Two runs side by side, for people or as JSON.

use super::super::{Done, print};
use crate::comparison::{Comparison, Difference, compare};
use crate::history::{self, Past};
use crate::number::significant;
use crate::table::Table;
use crate::visible::visible;
use ddpipe_cache::Cache;
use std::fmt::Write as _;

pub(super) fn run(cache: &Cache, a: &str, b: &str, json: bool) -> Done {
    let (a, b) = (Past::of(history::find(cache, a)?), Past::of(history::find(cache, b)?));
    let found = compare(cache, &a, &b);
    if json {
        let mut value = serde_json::to_value(&found).unwrap_or_default();
        if let Some(fields) = value.as_object_mut() {
            fields.shift_insert(0, "a".into(), a.seen.id.as_str().into());
            fields.shift_insert(1, "b".into(), b.seen.id.as_str().into());
        }
        return print(&format!("{value:#}\n"));
    }
    print(&visible(&text(&a, &b, &found)))
}

fn text(a: &Past, b: &Past, found: &Comparison) -> String {
    let mut text = String::new();
    for (letter, past) in [("a", a), ("b", b)] {
        let name = past.seen.name.as_ref().map_or(String::new(), |name| format!(" ({name})"));
        let _ = writeln!(
            text,
            "{letter}: {}{name}, {}, {}",
            past.seen.id,
            past.seen.pipeline,
            crate::when::long(past.begun())
        );
    }
    for past in [a, b].into_iter().filter(|past| past.ended().is_none()) {
        let _ = writeln!(text, "{} has not ended: its results are not compared", past.seen.id);
    }
    if found.is_empty() {
        text.push_str("\nno differences\n");
        return text;
    }
    let sections = [
        ("called", &found.circumstances),
        ("parameters", &found.params),
        ("nodes", &found.nodes),
        ("sources", &found.sources),
        ("numerics", &found.numerics),
    ];
    for (title, differences) in sections.into_iter().filter(|(_, differences)| !differences.is_empty()) {
        text.push_str(&pairs(title, differences));
    }
    for diff in &found.manifest {
        let _ = write!(text, "\n{diff}");
    }
    if !found.again.is_empty() || !found.gone.is_empty() {
        let _ = writeln!(text, "\nother actions in b");
    }
    for again in &found.again {
        let _ = writeln!(text, "  {}: {}", again.node, again.because.join(", "));
    }
    for node in &found.gone {
        let _ = writeln!(text, "  {node}: has no record in one of the runs, or it was removed");
    }
    results(&mut text, found);
    text
}

fn pairs(title: &str, differences: &[Difference]) -> String {
    let mut table = Table::new([title, "a", "b"]);
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".into());
    for difference in differences {
        table.row(vec![difference.what.clone(), value(&difference.a), value(&difference.b)]);
    }
    format!("\n{}", table.text())
}

fn results(text: &mut String, found: &Comparison) {
    if !found.results.is_empty() {
        let mut table = Table::new(["results", "metric", "a", "b", "b - a"]);
        let number = |value: f64| if value.is_nan() { "-".to_string() } else { significant(value) };
        for pair in &found.results {
            let change = pair.b - pair.a;
            let sign = if change > 0.0 { "+" } else { "" };
            let change = if change.is_finite() { format!("{sign}{}", significant(change)) } else { String::new() };
            table.row(vec![pair.node.clone(), pair.metric.clone(), number(pair.a), number(pair.b), change]);
        }
        let _ = write!(text, "\n{}", table.text());
    }
    if found.same_results > 0 {
        let _ = writeln!(text, "\n{} results are the same", found.same_results);
    }
}
