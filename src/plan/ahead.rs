//! Looks for the records of many nodes at the same time: nodes that follow each other in the order and do not read each
//! other, as those of one stage. Where a node is on record with all its outputs, that is all there is to say about it; what
//! else may be the case is found out about one node after the other. So a plan of very many nodes uses every core.

use super::{Planner, Verdict};
use crate::graph::Graph;
use crate::pipeline::NodeId;
use ddpipe_cache::Record;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;

/// Fewer nodes are not worth the threads.
const FEW: usize = 64;
/// So many are looked for at the same time.
const MANY: usize = 8192;

/// What was found out ahead.
#[derive(Default)]
pub(super) struct Ahead {
    nodes: Range<usize>,
    records: Vec<Option<Arc<Record>>>,
}

impl Ahead {
    /// The record of a node that is on record and that nothing else has to be said about. `verdicts` has those of all nodes
    /// before it.
    pub fn record(&mut self, planner: &Planner<'_>, id: NodeId, verdicts: &[Verdict]) -> Option<Arc<Record>> {
        if id.index() >= self.nodes.end {
            self.nodes = alike(planner.graph, id.index(), planner.pipeline.nodes.len());
            let known = |read: NodeId| match verdicts.get(read.index()) {
                Some(Verdict::Fresh(record)) => Some(record.clone()),
                _ => None,
            };
            let nodes = if self.nodes.len() < FEW { 0..0 } else { self.nodes.clone() };
            self.records = nodes.into_par_iter().map(|index| planner.fresh(NodeId(index as u32), &known)).collect();
        }
        self.records.get_mut(id.index().checked_sub(self.nodes.start)?)?.take()
    }
}

/// The nodes from this one on that do not read each other.
fn alike(graph: &Graph, first: usize, nodes: usize) -> Range<usize> {
    let is_apart = |index: &usize| graph.reads(NodeId(*index as u32)).all(|read| read.index() < first);
    let count = (first + 1..nodes.min(first + MANY)).take_while(is_apart).count();
    first..first + 1 + count
}

impl Planner<'_> {
    /// The record of a node that is needed, not forced, and on record with all that its kind declares; none where something
    /// else is the case.
    fn fresh(&self, id: NodeId, known: &dyn Fn(NodeId) -> Option<Arc<Record>>) -> Option<Arc<Record>> {
        if !self.needed(id) || self.forced.contains(&id) {
            return None;
        }
        let mut action = self.action(id, known).ok()?;
        let record = self.records.find_described(&action.key, &mut action.description).ok()??;
        // A node that asks for more decides what is needed.
        let is_whole = record.asks.is_empty() && self.lacks(id, &record).is_none();
        let is_there = is_whole && matches!(self.records.lost_output(&record), Ok(None));
        is_there.then(|| Arc::new(record))
    }
}
