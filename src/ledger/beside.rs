//! The published figures of what a table shows, sorted as the table is. Which inputs a kind sorts into cells, by which labels,
//! and which metric it shows, is declared; no kind is known by its name.

use super::words::published;
use crate::pipeline::{Endpoint, Node, NodeId, Pipeline};
use crate::published::Published;
use crate::run_report::escaped;
use ddpipe_interface::{Declaration, Names, Value};
use indexmap::{IndexMap, IndexSet};
use std::collections::HashMap;

/// Between the labels of a row, and between the figures of a cell.
const BETWEEN: &str = " / ";

/// A table's labels, and the metrics that it shows.
struct Shown<'a> {
    rows: Vec<&'a str>,
    columns: Vec<&'a str>,
    metrics: Vec<&'a str>,
    reads: Vec<NodeId>,
}

/// The figures as Markdown; none where nothing is published for what the table shows, or where it is no table.
pub fn beside_table(pipeline: &Pipeline, table: NodeId) -> Option<String> {
    if pipeline.published.is_empty() {
        return None;
    }
    let node = pipeline.node(table);
    let kind = pipeline.catalog.declaration(&node.kind)?;
    let shown = Shown::of(node, kind)?;
    let mut columns: IndexSet<String> = IndexSet::new();
    let mut rows: IndexMap<String, IndexMap<String, Vec<String>>> = IndexMap::new();
    let mut of_node: HashMap<NodeId, Vec<&Published>> = HashMap::new();
    for figure in pipeline.published.iter().filter(|it| it.figure.value.is_some()) {
        if shown.metrics.contains(&figure.name.as_str()) {
            figure.cells.iter().flatten().for_each(|id| of_node.entry(*id).or_default().push(figure));
        }
    }
    for read in &shown.reads {
        let read = pipeline.node(*read);
        for figure in of_node.get(&read.id).into_iter().flatten() {
            let column = match shown.columns.as_slice() {
                [] => figure.name.clone(),
                labels => joined(read, labels),
            };
            let declared = pipeline.catalog.declaration(&read.kind);
            let unit = declared.and_then(|kind| kind.metric(&figure.name, &read.params)?.unit.as_deref());
            let text = published(&figure.figure, unit);
            let cell = rows.entry(joined(read, &shown.rows)).or_default().entry(column.clone()).or_default();
            // Nodes that repeat a measurement have the same figure.
            if !cell.contains(&text) {
                cell.push(text);
            }
            columns.insert(column);
        }
    }
    (!rows.is_empty()).then(|| markdown(&shown, &rows, &columns))
}

impl<'a> Shown<'a> {
    /// What a node of this kind shows, if it is a table.
    fn of(node: &'a Node, kind: &'a Declaration) -> Option<Self> {
        let (input, cells) = kind.inputs.iter().find_map(|(name, input)| Some((name, input.cells.as_ref()?)))?;
        let labels = |param: &String| node.params.get(param).map(Value::texts).unwrap_or_default();
        let (first, others) = cells.by.split_first()?;
        let edges = node.inputs.get(input).into_iter().flatten();
        let read = |from: &Endpoint| match from {
            Endpoint::Node { node, .. } => Some(*node),
            Endpoint::Source { .. } => None,
        };
        let is_metric = |param: &str| {
            let names = kind.params.get(param).and_then(|param| param.names.as_ref());
            matches!(names, Some(Names::MetricOf(named) | Names::MetricOfEach(named)) if named == input)
        };
        let metrics = node.params.iter().filter(|(name, _)| is_metric(name)).flat_map(|(_, value)| value.texts());
        Some(Shown {
            rows: labels(first),
            columns: others.iter().flat_map(labels).collect(),
            metrics: metrics.collect(),
            reads: edges.filter_map(|edge| read(&edge.from)).collect(),
        })
    }
}

/// The values of these labels of a node.
fn joined(node: &Node, labels: &[&str]) -> String {
    let value = |label: &&str| match node.axes.get(*label) {
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None if *label == "stage" => node.stage.clone(),
        None => String::new(),
    };
    labels.iter().map(value).filter(|text| !text.is_empty()).collect::<Vec<_>>().join(BETWEEN)
}

fn markdown(
    shown: &Shown<'_>,
    rows: &IndexMap<String, IndexMap<String, Vec<String>>>,
    columns: &IndexSet<String>,
) -> String {
    let line = |first: &str, cells: Vec<String>| {
        let cells: Vec<String> = std::iter::once(first.to_string()).chain(cells).map(|cell| escaped(&cell)).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let mut text = "published for the same cells; `ddpipe ledger` has the sources and the differences\n\n".to_string();
    text.push_str(&line(&shown.rows.join(BETWEEN), columns.iter().cloned().collect()));
    text.push_str(&format!("| :-- |{}\n", " --: |".repeat(columns.len())));
    for (label, cells) in rows {
        let cell = |column: &String| cells.get(column).map_or(String::new(), |figures| figures.join(BETWEEN));
        text.push_str(&line(label, columns.iter().map(cell).collect()));
    }
    text
}
