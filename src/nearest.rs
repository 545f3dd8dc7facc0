//! The record of a node that today's action is explained by: the one that differs in the fewest things, and of several the
//! newest. A function of records; knows no plan.

use crate::key::Description;
use crate::pipeline::{NodeId, Pipeline};
use crate::plan::Records;
use crate::reason::{Reason, differences};
use ddpipe_cache::Record;

/// A record, and in what today's action differs from it.
#[derive(Clone, Debug)]
pub struct Nearest {
    /// The record.
    pub record: Record,
    /// The differences; none where the record says the same in words.
    pub reasons: Vec<Reason>,
}

/// The nearest record of a node, if it has one. Looks at the newest alone unless `deep`.
pub fn nearest(
    records: &dyn Records,
    pipeline: &Pipeline,
    node: NodeId,
    description: &Description,
    deep: bool,
) -> Option<Nearest> {
    let kind = pipeline.catalog.declaration(&pipeline.node(node).kind);
    let compared = |record: Record| {
        let reasons = differences(&record.description, description.entries(), kind);
        Nearest { record, reasons }
    };
    let address = pipeline.node(node).address();
    let mut best = compared(records.newest(&pipeline.name, &address)?);
    // Nothing is nearer than one difference to the newest.
    if deep && distance(&best.reasons) > 1 {
        for record in records.earlier(&pipeline.name, &address) {
            let other = compared(record);
            if distance(&other.reasons) < distance(&best.reasons) && !other.reasons.is_empty() {
                best = other;
            }
        }
    }
    Some(best)
}

/// How many things differ. A record of another kind has nothing to do with this one.
fn distance(reasons: &[Reason]) -> usize {
    let other_kind = reasons.iter().any(|reason| matches!(reason, Reason::KindChanged { .. }));
    reasons.len() + if other_kind { 1000 } else { 0 }
}
