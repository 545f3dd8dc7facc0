//! In what a cell differs from the manifest as written: the parameters, kinds and inputs of its nodes and of all that they
//! are made from. The manifest as written states the protocol of the figures; a profile or an override that changes any of it
//! measures something else. What only repeats (the axes that are folded, seeds, and the number of values that a stage takes
//! the mean over) is no difference.

use crate::pipeline::{Endpoint, Node, NodeId, Pipeline};
use crate::published::cell;
use ddpipe_interface::Value;
use indexmap::IndexSet;
use std::collections::{HashMap, HashSet};

/// The nodes of the manifest as written, to compare others with.
pub struct AsWritten<'a> {
    here: &'a Pipeline,
    written: &'a Pipeline,
    /// By the axes that repeat: the first node of each cell.
    cells: HashMap<Vec<String>, HashMap<String, &'a Node>>,
}

impl<'a> AsWritten<'a> {
    pub fn new(here: &'a Pipeline, written: &'a Pipeline) -> Self {
        AsWritten { here, written, cells: HashMap::new() }
    }

    /// The differences of these nodes, each once, their own first: `evaluate.epochs is 150 instead of 1000`.
    pub fn differences(&mut self, nodes: &[NodeId], over: &[String]) -> Vec<String> {
        let cells = self.cells.entry(over.to_vec()).or_insert_with(|| {
            let mut cells = HashMap::new();
            for node in &self.written.nodes {
                cells.entry(cell(node, over)).or_insert(node);
            }
            cells
        });
        let mut found = IndexSet::new();
        for id in behind(self.here, nodes) {
            let node = self.here.node(id);
            match cells.get(&cell(node, over)) {
                None => drop(found.insert(format!("{} is not in the manifest as written", cell(node, over)))),
                Some(written) => compare(self.here, node, self.written, written, over, &mut found),
            }
        }
        found.into_iter().collect()
    }
}

/// These nodes and all that they are made from, in order of distance.
pub fn behind(pipeline: &Pipeline, nodes: &[NodeId]) -> Vec<NodeId> {
    let mut seen: HashSet<NodeId> = nodes.iter().copied().collect();
    let mut found = nodes.to_vec();
    let mut at = 0;
    while let Some(id) = found.get(at).copied() {
        at += 1;
        for edge in pipeline.node(id).inputs.values().flatten() {
            if let Endpoint::Node { node, .. } = &edge.from
                && seen.insert(*node)
            {
                found.push(*node);
            }
        }
    }
    found
}

fn compare(
    here: &Pipeline,
    node: &Node,
    written: &Pipeline,
    there: &Node,
    over: &[String],
    found: &mut IndexSet<String>,
) {
    let stage = &node.stage;
    if node.kind != there.kind {
        found.insert(format!("{stage} is {} instead of {}", node.kind, there.kind));
        return;
    }
    let kind = here.catalog.declaration(&node.kind);
    let repeats: HashSet<&str> = kind
        .into_iter()
        .flat_map(|kind| kind.metrics.values())
        .filter_map(|metric| metric.spread.as_ref())
        .map(|spread| spread.over.as_str())
        .collect();
    let names: IndexSet<&String> = node.params.keys().chain(there.params.keys()).collect();
    // What does nothing but set others is there in the others.
    let selects = |name: &str| kind.is_some_and(|kind| kind.is_selector(name));
    for name in names.into_iter().filter(|name| !repeats.contains(name.as_str()) && !selects(name)) {
        let (mine, theirs) = (node.params.get(name), there.params.get(name));
        if mine != theirs {
            found.insert(format!("{stage}.{name} is {} instead of {}", shown(mine), shown(theirs)));
        }
    }
    let inputs: IndexSet<&String> = node.inputs.keys().chain(there.inputs.keys()).collect();
    for input in inputs {
        if reads(here, node, input, over) != reads(written, there, input, over) {
            found.insert(format!("{stage} reads something else as {input}"));
        }
    }
}

/// What a node reads at an input, by cell.
fn reads(pipeline: &Pipeline, node: &Node, input: &str, over: &[String]) -> HashSet<String> {
    let edges = node.inputs.get(input).into_iter().flatten();
    let name = |from: &Endpoint| match from {
        Endpoint::Source { source, file } => format!("source:{source}/{file}"),
        Endpoint::Node { node, output } => format!("{}.{output}", cell(pipeline.node(*node), over)),
    };
    edges.map(|edge| name(&edge.from)).collect()
}

fn shown(value: Option<&Value>) -> String {
    value.map_or("not set".into(), Value::to_string)
}
