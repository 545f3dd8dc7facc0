//! From a node back to what started it all: across the nodes that it waits for, and across the inputs that changed, to a
//! parameter, a seed, a file. Reads a plan and records; decides nothing.

use crate::nearest::nearest;
use crate::pipeline::{NodeId, Pipeline};
use crate::plan::{Action, Plan, Records, Verdict};
use crate::reason::Reason;
use crate::sources::Sources;
use crate::upstream::{Asked, Changes, Telling};
use ddpipe_cache::Record;
use std::collections::HashSet;

/// Explains nodes of a plan.
pub struct Causes<'a> {
    /// The pipeline.
    pub pipeline: &'a Pipeline,
    /// The plan.
    pub plan: &'a Plan,
    /// The files from outside.
    pub sources: &'a Sources,
    /// The records of the cache.
    pub records: &'a dyn Records,
    /// What was found out already.
    pub asked: Asked,
}

impl Causes<'_> {
    /// The nodes that have to be settled before this one, and that wait for nothing themselves: they run, or their source
    /// files are missing. In the pipeline's order; with the number of nodes between.
    pub fn roots(&self, node: NodeId) -> (Vec<NodeId>, usize) {
        let (mut seen, mut roots, mut between) = (HashSet::new(), Vec::new(), 0);
        let mut stack = vec![node];
        while let Some(id) = stack.pop() {
            match &self.plan.verdicts[id.index()] {
                Verdict::Waiting { on } => {
                    between += usize::from(id != node);
                    stack.extend(on.iter().copied().filter(|id| seen.insert(*id)));
                }
                _ if id != node => roots.push(id),
                _ => {}
            }
        }
        roots.sort();
        (roots, between)
    }

    /// Why a node runs, in words, down to the first change: `lr_img: 5 -> 2`, `input start changed: start: ipc: 1 -> 2`. Beside
    /// it, the record that this is in comparison with.
    pub fn of(&self, node: NodeId, action: &Action, reasons: &[Reason]) -> (Vec<String>, Option<Record>) {
        let near = nearest(self.records, self.pipeline, node, &action.description, true);
        let Some(mut near) = near.filter(|near| !near.reasons.is_empty()) else {
            return (reasons.iter().map(Reason::to_string).collect(), None);
        };
        let settled = |reason: &&Reason| matches!(reason, Reason::Forced | Reason::OutputLost { .. });
        if let Some(reason) = reasons.iter().find(settled) {
            return (vec![reason.to_string()], Some(near.record));
        }
        let known = |node: NodeId| match self.plan.verdicts.get(node.index()) {
            Some(Verdict::Fresh(record)) => Some(record.clone()),
            _ => None,
        };
        let changes = Changes {
            pipeline: self.pipeline,
            sources: self.sources,
            records: self.records,
            known: &known,
            telling: Telling::Whole,
            asked: &self.asked,
        };
        changes.explain(node, &mut near.reasons, &near.record.description, action);
        (near.reasons.iter().map(Reason::to_string).collect(), Some(near.record))
    }
}
