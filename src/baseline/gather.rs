//! What the nodes of a pipeline give now: one entry for each metric of the nodes that differ only in their seed. A
//! function of records; knows no file.

use super::Entry;
use crate::address::address;
use crate::pipeline::{Node, NodeId, Pipeline};
use ddpipe_cache::Record;
use ddpipe_interface::metric::Metric;
use indexmap::IndexMap;
use std::collections::BTreeSet;

/// The axis that nodes of one group differ in.
pub(crate) const SEED: &str = "seed";

/// What the nodes give, by group and metric.
#[derive(Clone, Debug, Default)]
pub struct Gathered {
    /// The groups, by address without the seed.
    pub groups: IndexMap<String, Group>,
    /// Metrics of which no declaration says whether higher or lower is better: `kind: metric`.
    pub undirected: BTreeSet<String>,
}

/// Nodes that differ only in their seed.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// The addresses of those that have no record.
    pub lacking: Vec<String>,
    /// How many nodes it has.
    pub nodes: usize,
    /// The metrics that have a direction, with their declarations.
    pub metrics: IndexMap<String, (Metric, Entry)>,
}

impl Group {
    /// Whether a metric of its is recorded unless something else is asked for: those with `headline` of a kind that
    /// declares any with a direction, else all; no measured ones.
    pub fn is_usual(&self, metric: &Metric) -> bool {
        let leads = |metric: &Metric| metric.headline && !metric.measured;
        !metric.measured && (leads(metric) || !self.metrics.values().any(|(other, _)| leads(other)))
    }
}

/// Gathers the metrics of the nodes that `wanted` names. A node without a record is counted as lacking.
pub fn gather<'a>(
    pipeline: &Pipeline,
    wanted: &dyn Fn(NodeId) -> bool,
    record: &dyn Fn(NodeId) -> Option<&'a Record>,
) -> Gathered {
    let mut gathered = Gathered::default();
    for node in pipeline.nodes.iter().filter(|node| wanted(node.id)) {
        let group = gathered.groups.entry(group_of(node)).or_default();
        group.nodes += 1;
        match record(node.id) {
            None => group.lacking.push(node.address()),
            Some(record) => group.add(pipeline, node, record, &mut gathered.undirected),
        }
    }
    gathered
}

/// The address of a node without its seed.
fn group_of(node: &Node) -> String {
    let axes = node.axes.iter().filter(|(name, _)| *name != SEED);
    address(&node.stage, &axes.map(|(name, value)| (name.clone(), value.clone())).collect())
}

impl Group {
    fn add(&mut self, pipeline: &Pipeline, node: &Node, record: &Record, undirected: &mut BTreeSet<String>) {
        let Some(kind) = pipeline.catalog.declaration(&node.kind) else { return };
        for (name, value) in record.numbers() {
            let Some(metric) = kind.metric(&name, &node.params).filter(|metric| metric.better.is_some()) else {
                undirected.insert(format!("{}: {name}", node.kind));
                continue;
            };
            let entry = || Entry {
                node: group_of(node),
                metric: name.clone(),
                measured: metric.measured,
                within: None,
                values: Vec::new(),
                numerics: None,
                hardware: None,
            };
            let (_, entry) = self.metrics.entry(name.clone()).or_insert_with(|| (metric.clone(), entry()));
            entry.values.push(value);
            let made = &record.provenance;
            join(&mut entry.numerics, made.numerics.as_ref().map(|numerics| numerics.to_string()));
            if metric.measured {
                let hardware = made
                    .numerics
                    .as_ref()
                    .map(|numerics| format!("{}, {} threads, {}", made.device_name, numerics.threads, numerics.cpu));
                join(&mut entry.hardware, hardware);
            }
        }
    }
}

/// Adds words unless they are among those already.
fn join(words: &mut Option<String>, more: Option<String>) {
    let Some(more) = more else { return };
    match words {
        None => *words = Some(more),
        Some(there) if there.split("; ").any(|part| part == more) => {}
        Some(there) => there.push_str(&format!("; {more}")),
    }
}
