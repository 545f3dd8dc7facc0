//! Looks for the records of many nodes at the same time: nodes that follow each other in the order and do not read each
//! other, as those of one stage. Where a node is on record with all its outputs, that is all there is to say about it; what
//! else may be the case is found out about one node after the other. So a plan of very many nodes uses every core, and where
//! records come from another machine, it waits for many at the same time.

use super::{Planner, Verdict};
use crate::graph::Graph;
use crate::pipeline::NodeId;
use ddpipe_cache::{Key, Record};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;

/// Fewer nodes are not worth the threads, where nothing is waited for.
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
            let look = |index: usize| planner.fresh(NodeId(index as u32), &known);
            let few = if planner.records.are_elsewhere_too() { 2 } else { FEW };
            let nodes = if self.nodes.len() < few { 0..0 } else { self.nodes.clone() };
            let mut found: Vec<Found> = nodes.into_par_iter().map(look).collect();
            let absent: Vec<Key> = found.iter().filter_map(Found::absent).collect();
            if !absent.is_empty() && planner.records.are_elsewhere_too() {
                planner.records.look_ahead(&planner.pipeline.name, &absent);
                for (index, found) in self.nodes.clone().zip(&mut found).filter(|(_, found)| found.absent().is_some()) {
                    *found = look(index);
                }
            }
            let record = |found| match found {
                Found::Record(record) => Some(record),
                Found::Absent(_) | Found::Else => None,
            };
            self.records = found.into_iter().map(record).collect();
        }
        self.records.get_mut(id.index().checked_sub(self.nodes.start)?)?.take()
    }
}

/// What a look at a node gives.
enum Found {
    /// It is on record, and that is all there is to say about it.
    Record(Arc<Record>),
    /// There is no record of this key here.
    Absent(Key),
    /// Something else.
    Else,
}

impl Found {
    fn absent(&self) -> Option<Key> {
        match self {
            Found::Absent(key) => Some(*key),
            Found::Record(_) | Found::Else => None,
        }
    }
}

/// The nodes from this one on that do not read each other.
fn alike(graph: &Graph, first: usize, nodes: usize) -> Range<usize> {
    let is_apart = |index: &usize| graph.reads(NodeId(*index as u32)).all(|read| read.index() < first);
    let count = (first + 1..nodes.min(first + MANY)).take_while(is_apart).count();
    first..first + 1 + count
}

impl Planner<'_> {
    /// The record of a node that is needed, not forced, and on record here with all that its kind declares.
    fn fresh(&self, id: NodeId, known: &dyn Fn(NodeId) -> Option<Arc<Record>>) -> Found {
        if !self.needed(id) || self.forced.contains(&id) {
            return Found::Else;
        }
        let Ok(mut action) = self.action(id, known) else { return Found::Else };
        let record = match self.records.find_here(&action.key, &mut action.description) {
            Ok(Some(record)) => record,
            Ok(None) => return Found::Absent(action.key),
            Err(_) => return Found::Else,
        };
        // A node that asks for more decides what is needed.
        let is_whole = record.asks.is_empty() && self.lacks(id, &record).is_none();
        let is_there = is_whole && matches!(self.records.lost_output(&record), Ok(None));
        if is_there { Found::Record(Arc::new(record)) } else { Found::Else }
    }
}
