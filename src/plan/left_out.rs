//! What cannot run because a source file is not there, and what is left out for that reason. Knows not why the file is
//! not there, nor how it could be had.

use super::{Plan, Planner, Verdict};
use crate::pipeline::{Edge, Endpoint, NodeId};
use crate::sources::Missing;
use indexmap::IndexMap;

/// The nodes that need a file, by the names of its source and itself.
pub type Demand = IndexMap<(String, String), Vec<String>>;

impl Planner<'_> {
    /// Marks what is left out whatever is on record: the bytes of a file are not there, and nobody knows which they were.
    pub(super) fn leave_out(&mut self) {
        let graph = self.graph;
        for id in graph.order() {
            let unknown = self.lacking(id).find(|missing| missing.optional && missing.digest.is_none());
            let file = unknown.map(Missing::name).or_else(|| self.without(id));
            self.left_out[id.index()] = file;
        }
    }

    /// The source files that a node reads itself and that are not there.
    pub(super) fn lacking(&self, id: NodeId) -> impl Iterator<Item = &Missing> {
        let edges = self.pipeline.node(id).inputs.values().flatten();
        edges.filter_map(|edge| match &edge.from {
            Endpoint::Source { source, file } => self.sources.missing(source, file),
            Endpoint::Node { .. } => None,
        })
    }

    /// The file without which a node is left out because of what it reads: one input is left out, or all that is
    /// connected to one that takes many. A stage that gathers works on those that are there.
    pub fn without(&self, id: NodeId) -> Option<String> {
        if self.sources.missing.is_empty() {
            return None;
        }
        if let Some(file) = &self.left_out[id.index()] {
            return Some(file.clone());
        }
        let node = self.pipeline.node(id);
        node.inputs.values().find_map(|edges| match edges.iter().all(|edge| self.is_left_out(edge)) {
            true => edges.iter().find_map(|edge| self.file_of(edge)).cloned(),
            false => None,
        })
    }

    pub(super) fn is_left_out(&self, edge: &Edge) -> bool {
        self.file_of(edge).is_some()
    }

    fn file_of(&self, edge: &Edge) -> Option<&String> {
        match &edge.from {
            Endpoint::Node { node, .. } => self.left_out[node.index()].as_ref(),
            Endpoint::Source { .. } => None,
        }
    }

    /// The nodes that a node gathers and that are left out, with the number of all that it gathers; none for a node that
    /// is left out itself.
    pub fn gaps(&self, id: NodeId) -> (Vec<NodeId>, usize) {
        let (mut gaps, mut all) = (Vec::new(), 0);
        if !self.needed(id) || self.left_out[id.index()].is_some() {
            return (gaps, all);
        }
        for edge in self.pipeline.node(id).inputs.values().flatten() {
            if let Endpoint::Node { node, .. } = &edge.from {
                all += 1;
                gaps.extend(self.left_out[node.index()].is_some().then_some(*node));
            }
        }
        (gaps, all)
    }

    /// The files that are not there and that nodes of this plan need, or may need: those that run, wait, or might be
    /// asked for.
    pub fn demand(&self, plan: &Plan, may_be_asked: &[bool]) -> Demand {
        let mut demand = Demand::new();
        let settled = |verdict: &Verdict| matches!(verdict, Verdict::Fresh(_) | Verdict::NotSelected);
        let all_on_record = plan.verdicts.iter().all(settled);
        for (verdict, node) in plan.verdicts.iter().zip(&self.pipeline.nodes) {
            let needs = match verdict {
                Verdict::Fresh(_) => false,
                Verdict::NotSelected => may_be_asked[node.id.index()] && !all_on_record,
                _ => true,
            };
            if needs {
                for missing in self.lacking(node.id) {
                    let name = (missing.source.clone(), missing.file.clone());
                    demand.entry(name).or_default().push(node.address());
                }
            }
        }
        demand
    }
}

/// The verdict about a node that needs this file.
pub(super) fn absent(missing: &Missing) -> Verdict {
    match missing.optional {
        true => Verdict::LeftOut { file: missing.name() },
        false => Verdict::Missing { file: missing.name() },
    }
}
