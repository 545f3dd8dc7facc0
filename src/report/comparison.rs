//! Two runs or manifests side by side, as a page in the style of the report.

use super::page;
use super::pictures::{address, dimensions};
use crate::comparison::{Comparison, Difference, Group};
use crate::number::significant;
use askama::Template;
use std::fs;

/// So many rows of a list are shown.
const ROWS: usize = 500;
/// Larger pictures are not shown.
const ONE: u64 = 1 << 20;
/// So many bytes all pictures may have together.
const ALL: usize = 4_000_000;

#[derive(Template)]
#[template(path = "compare.html")]
struct Document<'a> {
    a: &'a str,
    b: &'a str,
    outcome: String,
    groups: Vec<Row>,
    sections: Vec<Section>,
    manifest: Vec<Vec<Line<'a>>>,
    again: Vec<(String, String)>,
    more: usize,
    pictures: Vec<Pair>,
}

/// A result of both sides.
struct Row {
    what: String,
    a: String,
    b: String,
    difference: String,
    interval: String,
    certain: bool,
}

/// A list of things that differ: what, on the first side, on the second side.
struct Section {
    title: &'static str,
    rows: Vec<[String; 3]>,
    more: usize,
}

/// A line of a difference of texts.
struct Line<'a> {
    class: &'static str,
    text: &'a str,
}

/// A picture of both sides.
struct Pair {
    what: String,
    sides: Vec<Half>,
}

/// A picture of one side, or why it is not there.
struct Half {
    title: &'static str,
    data: String,
    size: Option<(u32, u32)>,
    without: String,
}

/// The page of a comparison. The titles say what the sides are.
pub fn comparison(a: &str, b: &str, found: &Comparison) -> String {
    let lists = [
        ("How they were called", &found.circumstances, "–"),
        ("Variables", &found.variables, "–"),
        ("Nodes", &found.nodes, "–"),
        ("Parameters", &found.params, "–"),
        ("Sources", &found.sources, "–"),
        ("Numerics", &found.numerics, "–"),
        ("Expectations", &found.expectations, "–"),
        ("Without a result", &found.lacking, "on record"),
    ];
    let lists = lists.into_iter().filter(|(_, rows, _)| !rows.is_empty());
    let mut room = ALL;
    let document = Document {
        a,
        b,
        outcome: outcome(found),
        groups: found.groups.iter().take(ROWS).map(row).collect(),
        sections: lists.map(|(title, rows, none)| section(title, rows, none)).collect(),
        manifest: found.manifest.iter().map(|diff| diff.lines().map(line).collect()).collect(),
        again: found.again.iter().take(ROWS).map(|it| (it.node.clone(), it.because.join(", "))).collect(),
        more: found.again.len().saturating_sub(ROWS),
        pictures: found.pictures.iter().map(|it| pair(it, &mut room)).collect(),
    };
    page::around("ddpipe comparison", &page::filled(&document))
}

fn section(title: &'static str, rows: &[Difference], none: &str) -> Section {
    let side = |side: &Option<String>| side.clone().unwrap_or_else(|| none.to_string());
    let row = |it: &Difference| [it.what.clone(), side(&it.a), side(&it.b)];
    Section { title, rows: rows.iter().take(ROWS).map(row).collect(), more: rows.len().saturating_sub(ROWS) }
}

fn outcome(found: &Comparison) -> String {
    let same = match found.same_results {
        0 => String::new(),
        1 => "1 result is the same".to_string(),
        same => format!("{same} results are the same"),
    };
    if found.is_empty() {
        return if same.is_empty() { "No differences.".into() } else { format!("No differences; {same}.") };
    }
    let certain = found.groups.iter().filter(|group| is_certain(group)).count();
    let mut parts = vec![format!("{} results differ", found.groups.len())];
    if !found.groups.is_empty() {
        parts.push(format!("{certain} of them by more than chance explains"));
    }
    if !same.is_empty() {
        parts.push(same);
    }
    parts.push(format!("{} parameters differ", found.params.len()));
    format!("{}.", parts.join(", "))
}

/// Whether the interval of the difference is on one side of zero.
fn is_certain(group: &Group) -> bool {
    group.interval.is_some_and(|[low, high]| low > 0.0 || high < 0.0)
}

fn row(group: &Group) -> Row {
    let side = |side: &crate::baseline::Side| match side.deviation {
        Some(deviation) => format!("{} ± {} (n {})", significant(side.mean), significant(deviation), side.n),
        None => significant(side.mean),
    };
    let signed = |value: f64| match value {
        value if !value.is_finite() => "–".into(),
        value if value > 0.0 => format!("+{}", significant(value)),
        value => significant(value),
    };
    let interval = match (group.interval, group.without) {
        (Some([low, high]), _) => format!("{} to {}", signed(low), signed(high)),
        (None, without) => without.unwrap_or_default().to_string(),
    };
    Row {
        what: format!("{}.{}", group.node, group.metric),
        a: side(&group.a),
        b: side(&group.b),
        difference: signed(group.difference),
        interval,
        certain: is_certain(group),
    }
}

fn line(text: &str) -> Line<'_> {
    let class = match text.chars().next() {
        Some('+') => "ran",
        Some('-') => "failed",
        _ => "plain",
    };
    Line { class, text }
}

fn pair(found: &Difference, room: &mut usize) -> Pair {
    let mut half = |title, path: &Option<String>| {
        let Some(path) = path else {
            return Half { title, data: String::new(), size: None, without: "there is none".into() };
        };
        let small = fs::metadata(path).is_ok_and(|seen| seen.len() <= ONE && seen.len() as usize * 4 / 3 <= *room);
        let bytes = if small { fs::read(path).ok() } else { None };
        let data = bytes.as_deref().and_then(address).unwrap_or_default();
        *room = room.saturating_sub(data.len());
        let without = if data.is_empty() { format!("not shown: {path}") } else { String::new() };
        Half { title, data, size: bytes.as_deref().and_then(dimensions), without }
    };
    Pair { what: found.what.clone(), sides: vec![half("a", &found.a), half("b", &found.b)] }
}
