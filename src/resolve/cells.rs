//! Tables whose results an input sorts into cells by their labels (`cells` in its declaration): which labels those are
//! where the manifest does not say, and cells that would hold several results that differ in more than folded axes. Knows
//! no values: those are for the stage.

use super::StageInfo;
use super::names::place;
use crate::address::value_text;
use crate::catalog::Catalog;
use crate::diagnostic::{Place, Report};
use crate::pipeline::{Endpoint, Node};
use ddpipe_interface::{Cells, Declaration, Value};
use indexmap::{IndexMap, IndexSet};
use std::sync::Arc;

/// The label that tells stages apart, where several are connected.
pub const STAGE: &str = "stage";

/// One connected result: its labels, and the axes that are folded.
struct Labelled<'a> {
    node: &'a Node,
    labels: IndexMap<&'a str, Value>,
    over: &'a [String],
}

/// Gives the `varying` parameter of tables that leave it out the labels in which their results differ.
pub fn fill_in(infos: &[StageInfo<'_>], nodes: &mut [Node], catalog: &Catalog) {
    for index in 0..nodes.len() {
        let Some(node) = nodes.get(index) else { continue };
        let Some(kind) = catalog.declaration(&node.kind).filter(|kind| sorted_inputs(kind).next().is_some()) else {
            continue;
        };
        let Some(info) = infos.iter().find(|info| info.name == node.stage) else { continue };
        let given = |name: &str| {
            info.table.params.contains_key(name) || info.own.as_ref().is_some_and(|own| own.contains_key(name))
        };
        let mut found = Vec::new();
        for (input, cells) in sorted_inputs(kind) {
            let Some(name) = cells.varying.as_ref().filter(|name| !given(name)) else { continue };
            let results = results(node, input, nodes);
            if !results.is_empty() {
                let labels = varying(node, cells, name, &results).into_iter().map(|label| Value::String(label.into()));
                found.push((name.clone(), Value::List(labels.collect())));
            }
        }
        for (name, labels) in found {
            if let Some(value) = nodes.get_mut(index).and_then(|node| Arc::make_mut(&mut node.params).get_mut(&name)) {
                *value = labels;
            }
        }
    }
}

/// Reports cells that would hold results which differ in a label that is not folded.
pub fn check(infos: &[StageInfo<'_>], nodes: &[Node], catalog: &Catalog, report: &mut Report) {
    let mut told: IndexSet<(&str, &str)> = IndexSet::new();
    for node in nodes {
        let Some(kind) = catalog.declaration(&node.kind) else { continue };
        for (input, cells) in sorted_inputs(kind) {
            let results = results(node, input, nodes);
            let by: Vec<Vec<&str>> = cells.by.iter().map(|param| named(node, param)).collect();
            let known = |label: &&&str| results.iter().any(|result| result.labels.contains_key(**label));
            // A parameter at fault was reported already.
            let whole = cells.by.iter().all(|param| node.params.contains_key(param) || is_optional(kind, param));
            if !whole || told.contains(&(node.stage.as_str(), input)) || !by.iter().flatten().all(|label| known(&label))
            {
                continue;
            }
            let joined = joined(node, cells);
            let Some(fault) = groups(&results, &by).values().find_map(|group| unlike(group, cells, &by, &joined))
            else {
                continue;
            };
            told.insert((node.stage.as_str(), input));
            let info = infos.iter().find(|info| info.name == node.stage);
            let Some(written) = info.and_then(|info| info.table.inputs.get(input)) else { continue };
            let mut diagnostic =
                written.item.fault(format!("input {input:?} of {}: {}", kind.name, fault.0)).help(fault.1);
            let rows = cells.by.iter().find(|name| info.is_some_and(|info| info.table.params.contains_key(*name)));
            let rows: Option<Place> = rows.and_then(|name| place(infos, node, name, ""));
            if let Some(rows) = rows {
                diagnostic = diagnostic.and(&rows, "what the cells are sorted by");
            }
            report.push(diagnostic);
        }
    }
}

fn sorted_inputs(kind: &Declaration) -> impl Iterator<Item = (&str, &Cells)> {
    kind.inputs.iter().filter_map(|(name, input)| Some((name.as_str(), input.cells.as_ref()?)))
}

fn is_optional(kind: &Declaration, param: &str) -> bool {
    kind.params.get(param).is_some_and(|param| param.optional)
}

/// What is connected to an input, with its labels as the stage will see them.
fn results<'a>(node: &'a Node, input: &str, nodes: &'a [Node]) -> Vec<Labelled<'a>> {
    let edges = node.inputs.get(input).map_or(&[][..], Vec::as_slice);
    let read = |endpoint: &Endpoint| match endpoint {
        Endpoint::Node { node, .. } => nodes.get(node.index()),
        Endpoint::Source { .. } => None,
    };
    let stages: IndexSet<&str> = edges.iter().filter_map(|edge| Some(read(&edge.from)?.stage.as_str())).collect();
    let labelled = edges.iter().filter_map(|edge| {
        let node = read(&edge.from)?;
        let mut labels: IndexMap<&str, Value> = IndexMap::new();
        if stages.len() > 1 {
            labels.insert(STAGE, Value::String(node.stage.clone()));
        }
        labels.extend(node.axes.iter().map(|(axis, value)| (axis.as_str(), value.clone())));
        Some(Labelled { node, labels, over: &edge.over })
    });
    labelled.collect()
}

/// The labels in which what is in one cell may differ.
fn joined<'a>(node: &'a Node, cells: &'a Cells) -> Vec<&'a str> {
    let by = cells.joined_by.iter().flat_map(|param| named(node, param));
    cells.joined.iter().map(String::as_str).chain(by).collect()
}

/// The labels that a parameter of the node names.
fn named<'a>(node: &'a Node, param: &str) -> Vec<&'a str> {
    node.params.get(param).into_iter().flat_map(Value::texts).collect()
}

/// The results of each cell, by the text of its labels.
fn groups<'g, 'a>(results: &'g [Labelled<'a>], by: &[Vec<&str>]) -> IndexMap<Vec<String>, Vec<&'g Labelled<'a>>> {
    let mut groups: IndexMap<Vec<String>, Vec<&Labelled>> = IndexMap::new();
    for result in results {
        let text = |label: &&str| result.labels.get(label).map_or(String::new(), Value::to_string);
        groups.entry(by.iter().flatten().map(text).collect()).or_default().push(result);
    }
    groups
}

/// The first label in which results of a cell differ, and which is neither folded in all of them nor joined by the stage.
fn difference<'g>(group: &[&'g Labelled<'_>], joined: &[&str]) -> Option<&'g str> {
    let (first, others) = group.split_first()?;
    let labels = group.iter().flat_map(|result| result.labels.keys().copied());
    let differs = |label: &&str| others.iter().any(|other| other.labels.get(label) != first.labels.get(label));
    let is_folded = |label: &&str| group.iter().all(|result| result.over.iter().any(|axis| axis == label));
    let labels: IndexSet<&str> = labels.collect();
    labels.into_iter().find(|label| differs(label) && !is_folded(label) && !joined.contains(label))
}

/// The default where what is connected has its labels, and the labels that still tell results of one cell apart.
fn varying<'a>(node: &'a Node, cells: &Cells, name: &str, results: &'a [Labelled<'a>]) -> Vec<&'a str> {
    let known = |label: &&str| results.iter().any(|result| result.labels.contains_key(label));
    let mut labels: Vec<&str> = named(node, name).into_iter().filter(known).collect();
    let others: Vec<&str> =
        cells.by.iter().filter(|other| *other != name).flat_map(|other| named(node, other)).collect();
    let joined = joined(node, cells);
    loop {
        let by = [labels.clone(), others.clone()];
        let Some(next) = groups(results, &by).values().find_map(|group| difference(group, &joined)) else {
            return labels;
        };
        labels.push(next);
    }
}

/// What is wrong with the results of one cell, and what to do about it.
fn unlike(group: &[&Labelled<'_>], cells: &Cells, by: &[Vec<&str>], joined: &[&str]) -> Option<(String, String)> {
    let first = group.first()?;
    let title = |labels: &Vec<&str>| {
        let values: Vec<String> = labels.iter().filter_map(|label| first.labels.get(label)).map(value_text).collect();
        (!labels.is_empty()).then(|| if values.is_empty() { "–".to_string() } else { values.join(", ") })
    };
    let titles: Vec<String> = by.iter().filter_map(title).collect();
    let cell = match titles.is_empty() {
        true if cells.by.is_empty() => "it".to_string(),
        true => "the only cell".to_string(),
        false => format!("cell ({})", titles.join("; ")),
    };
    let count = group.len();
    if let Some(label) = difference(group, joined) {
        let value = |result: &&Labelled| result.labels.get(label).map_or("(none)".to_string(), value_text);
        let values: IndexSet<String> = group.iter().map(value).collect();
        let values = super::matrix::shortened(&values.into_iter().collect::<Vec<_>>());
        let message = format!("{cell} holds {count} results that differ in {label:?} ({values})");
        let names: Vec<&str> = cells.by.iter().chain(&cells.joined_by).map(String::as_str).collect();
        let or = match names.is_empty() {
            true => "gather one of them".to_string(),
            false => format!("name it in {}", names.join(" or ")),
        };
        let help = match label {
            STAGE => or,
            _ => format!("fold it with over = [{label:?}], or {or}"),
        };
        return Some((message, help));
    }
    let mut seen: IndexMap<String, &Node> = IndexMap::new();
    for result in group {
        let labels: Vec<String> = result.labels.iter().map(|(label, value)| format!("{label}={value}")).collect();
        if let Some(twin) = seen.insert(labels.join(","), result.node) {
            let (one, other) = (twin.address(), result.node.address());
            let message = format!("{cell} holds two results with the same labels, of {one} and {other}");
            return Some((message, "gather one of them".into()));
        }
    }
    None
}
