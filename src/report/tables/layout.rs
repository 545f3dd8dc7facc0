//! Which nodes stand in which cell of a table: by the labels that its kind's declaration sorts them by (`cells`); of other
//! kinds, by rows that are named after nodes or stages.

use super::document::Document;
use crate::pipeline::{Edge, Endpoint, Node, NodeId};
use crate::report::subject::Subject;
use crate::report::words::plain;
use ddpipe_interface::Value;

/// Where the nodes of a table stand.
pub struct Layout {
    /// The title of the first column: the labels of the rows.
    pub corner: String,
    /// Per node, its row and its column; all columns where it has none.
    places: Vec<(NodeId, usize, Option<usize>)>,
}

impl Layout {
    /// The places of what a table's node gathers.
    pub fn of(subject: &Subject, node: &Node, document: &Document) -> Self {
        let mut layout = Layout { corner: String::new(), places: Vec::new() };
        let Some(kind) = subject.pipeline.catalog.declaration(&node.kind) else { return layout };
        for (input, edges) in &node.inputs {
            let cells = kind.inputs.get(input).and_then(|input| input.cells.as_ref());
            let several = are_of_several_stages(subject, edges);
            for from in edges.iter().filter_map(from) {
                let read = subject.pipeline.node(from);
                let Some(cells) = cells else {
                    let is_named = |title: &String| *title == read.address || *title == read.stage;
                    let rows = document.rows.iter().enumerate().filter(|(_, title)| is_named(title));
                    layout.places.extend(rows.map(|(row, _)| (from, row, None)));
                    continue;
                };
                let labels = |at: usize| -> Vec<&str> {
                    cells.by.get(at).and_then(|param| node.params.get(param)).map_or(Vec::new(), Value::texts)
                };
                let (rows, columns) = (labels(0), labels(1));
                layout.corner = rows.join(", ");
                let row = title(read, &rows, several, "all");
                let Some(row) = document.rows.iter().position(|known| *known == row) else { continue };
                let column = title(read, &columns, several, "");
                let column = document.columns.iter().position(|known| *known == column).filter(|_| !columns.is_empty());
                layout.places.push((from, row, column));
            }
        }
        layout
    }

    /// The nodes of a cell.
    pub fn nodes(&self, row: usize, column: usize) -> Vec<NodeId> {
        let here = |place: &&(NodeId, usize, Option<usize>)| place.1 == row && place.2.is_none_or(|at| at == column);
        self.places.iter().filter(here).map(|place| place.0).collect()
    }
}

fn from(edge: &Edge) -> Option<NodeId> {
    match edge.from {
        Endpoint::Node { node, .. } => Some(node),
        Endpoint::Source { .. } => None,
    }
}

fn are_of_several_stages(subject: &Subject, edges: &[Edge]) -> bool {
    let mut stages = edges.iter().filter_map(from).map(|id| &subject.pipeline.node(id).stage);
    let first = stages.next();
    stages.any(|stage| Some(stage) != first)
}

/// The title that a node's labels make, as the stages that draw tables make it.
fn title(node: &Node, labels: &[&str], several: bool, otherwise: &str) -> String {
    if labels.is_empty() {
        return otherwise.to_string();
    }
    let label = |label: &&str| match (*label, several) {
        ("stage", true) => Some(node.stage.clone()),
        (label, _) => node.axes.get(label).map(plain),
    };
    let values: Vec<String> = labels.iter().filter_map(label).collect();
    if values.is_empty() { "–".to_string() } else { values.join(", ") }
}
