//! What is gathered when the last node has its outcome: why others have none, what is on record beside, the exit code.

use super::Args;
use crate::baseline::Comparison;
use crate::cli::project::Project;
use crate::event::{Outcome, Status};
use crate::exit::{Exit, Fault};
use crate::expect::{self, Checked};
use crate::pipeline::NodeId;
use crate::plan::Verdict;
use crate::schedule::Summary;
use ddpipe_cache::Record;
use ddpipe_interface::protocol::Cause;
use indexmap::IndexMap;
use std::sync::Arc;

/// Why nodes have no result, by address.
pub fn lost(summary: &Summary) -> IndexMap<String, String> {
    let reason = |outcome: &Outcome| {
        let failure = outcome.failure.as_ref()?;
        Some((outcome.node.clone(), failure.message.lines().next().unwrap_or_default().to_string()))
    };
    summary.outcomes.iter().filter_map(reason).collect()
}

/// The nodes that are left out, each with the reason.
pub fn left_out(summary: &Summary) -> IndexMap<String, String> {
    let mut lost = lost(summary);
    let left = |node: &String| {
        summary.outcomes.iter().any(|outcome| outcome.node == *node && outcome.status == Status::LeftOut)
    };
    lost.retain(|node, _| left(node));
    lost
}

/// Notes what every node gave last, under the name that it has today: what `why` compares with the next time.
pub fn note_names(project: &Project, records: &[(NodeId, Arc<Record>)]) -> Result<(), Fault> {
    let pipeline = &project.pipeline;
    let named = |(node, record): &(NodeId, Arc<Record>)| (pipeline.node(*node).address(), record.key);
    let named: Vec<_> = records.iter().map(named).collect();
    Ok(project.cache.note_all_latest(&pipeline.name, &named)?)
}

/// The records of nodes that nobody asked for and that something is expected of, as far as they are there: an earlier run
/// may have made them. They are read only where an expectation speaks of such nodes.
pub fn on_record(project: &Project, asked: &dyn Fn(NodeId) -> bool) -> Result<Vec<(NodeId, Arc<Record>)>, Fault> {
    let expected: Vec<NodeId> = expect::unasked(&project.pipeline, asked).map(|node| node.id).collect();
    if expected.is_empty() {
        return Ok(Vec::new());
    }
    let plan = project.planned_in_full(expected.iter().copied())?;
    let fresh = expected.into_iter().filter_map(|node| match plan.verdicts.get(node.index()) {
        Some(Verdict::Fresh(record)) => Some((node, record.clone())),
        _ => None,
    });
    Ok(fresh.collect())
}

/// The cache first: what it could not do is no fault of the stages.
pub fn exit(
    args: &Args,
    summary: &Summary,
    checked: &[Checked],
    comparison: Option<&Comparison>,
    faults: &[Fault],
    signal: Exit,
) -> Exit {
    let of_cache = |outcome: &Outcome| {
        let cause = outcome.failure.as_ref().and_then(|failure| failure.cause);
        outcome.status == Status::Failed && matches!(cause, Some(Cause::Cache | Cause::Store))
    };
    if summary.interrupted || summary.count(Status::Interrupted) > 0 {
        signal
    } else if summary.outcomes.iter().any(of_cache) || !faults.is_empty() {
        Exit::Cache
    } else if summary.count(Status::Failed) > 0 {
        Exit::Stage
    } else if args.check && checked.iter().any(|check| !check.met) || comparison.is_some_and(Comparison::is_worse) {
        Exit::Missed
    } else {
        Exit::Ok
    }
}
