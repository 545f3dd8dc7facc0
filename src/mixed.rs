//! Tables whose results were computed in different ways: with another libtorch, instruction set, number of threads or
//! device. Their numbers may then differ for that reason alone, so the run says it.

use crate::graph::Graph;
use crate::pipeline::{Node, NodeId, Pipeline};
use ddpipe_cache::Record;
use indexmap::IndexMap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One line for each gathering node whose gathered results have several numerics: how many results have which.
pub fn notes(pipeline: &Pipeline, graph: &Graph, records: &[(NodeId, Arc<Record>)]) -> Vec<String> {
    let many = |id: NodeId| {
        let node = pipeline.node(id);
        pipeline.catalog.declaration(&node.kind).is_some_and(|kind| kind.inputs.values().any(|input| input.many))
    };
    let gathering: Vec<&Node> = pipeline.nodes.iter().filter(|node| many(node.id)).collect();
    if gathering.is_empty() {
        return Vec::new();
    }
    let records: IndexMap<NodeId, &Record> = records.iter().map(|(node, record)| (*node, &**record)).collect();
    let mut notes = Vec::new();
    for node in gathering.into_iter().filter(|node| records.contains_key(&node.id)) {
        let mut found: BTreeMap<String, (String, usize)> = BTreeMap::new();
        for read in graph.reads(node.id) {
            let Some(numerics) = records.get(&read).and_then(|record| record.provenance.numerics.as_ref()) else {
                continue;
            };
            found.entry(numerics.canonical()).or_insert_with(|| (numerics.to_string(), 0)).1 += 1;
        }
        if found.len() > 1 {
            let parts: Vec<String> = found.values().map(|(words, count)| format!("{count} with {words}")).collect();
            notes.push(format!("{} gathers results of several numerics: {}", node.address(), parts.join("; ")));
        }
    }
    notes
}
