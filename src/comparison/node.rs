//! What a side of a comparison knows of one node: its action, its record and results, or why it has none.

use crate::ended::NodeEnded;
use crate::event::Status;
use crate::pipeline::Pipeline;
use crate::plan::Verdict;
use ddpipe_cache::{Cache, Key, Record};
use indexmap::IndexMap;

/// What a side knows of one node.
#[derive(Clone, Debug, Default)]
pub struct NodeSide {
    /// The key of its action, where that is known.
    pub key: Option<Key>,
    /// What the key is made of; empty where that is not known.
    pub description: Vec<(String, String)>,
    /// Its record, if it is in the cache.
    pub record: Option<Record>,
    /// Its results.
    pub metrics: IndexMap<String, f64>,
    /// Why it has no result, in words.
    pub lacking: Option<String>,
    /// Why it ran, where it ran in this run.
    pub ran: Vec<String>,
}

impl NodeSide {
    /// What came of a node in a run.
    pub(super) fn of_run(cache: &Cache, node: &NodeEnded) -> Self {
        let key = node.key.as_deref().and_then(|key| key.parse().ok());
        let record = key.and_then(|key| cache.record(key).ok().flatten());
        let lacking = match node.status {
            Status::Ran | Status::Fresh => record.is_none().then_some("its record is not in the cache any more"),
            Status::Failed => Some("it failed"),
            Status::Interrupted => Some("it was interrupted"),
            Status::Skipped => Some("it was skipped"),
            Status::LeftOut => Some("it was left out"),
        };
        NodeSide {
            key,
            description: record.as_ref().map_or_else(Vec::new, |record| record.description.clone()),
            metrics: record.as_ref().map_or_else(|| node.metrics.clone(), |record| record.metrics.clone()),
            lacking: lacking.map(String::from),
            ran: if node.status == Status::Ran { node.reasons.clone() } else { Vec::new() },
            record,
        }
    }

    /// What is on record for a node of a plan; none of one that nothing asked for.
    pub(super) fn of_verdict(pipeline: &Pipeline, verdict: &Verdict) -> Option<Self> {
        let without = |why: String| NodeSide { lacking: Some(format!("not on record: {why}")), ..NodeSide::default() };
        Some(match verdict {
            Verdict::NotSelected => return None,
            Verdict::Fresh(record) => NodeSide {
                key: Some(record.key),
                description: record.description.clone(),
                metrics: record.metrics.clone(),
                record: Some((**record).clone()),
                ..NodeSide::default()
            },
            Verdict::Run { action, reasons } => {
                let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
                let (key, description) = (Some(action.key), action.description.entries().to_vec());
                NodeSide { key, description, ..without(reasons.join(", ")) }
            }
            Verdict::Waiting { on } => {
                let names: Vec<String> = on.iter().take(3).map(|node| pipeline.node(*node).address()).collect();
                let more = if on.len() > 3 { format!(" and {} more", on.len() - 3) } else { String::new() };
                without(format!("waits for {}{more}", names.join(", ")))
            }
            Verdict::Missing { file } => without(format!("the source file {file} is not there")),
            Verdict::LeftOut { file } => without(format!("left out, {file} is not there")),
            Verdict::Unreadable { error } => without(error.to_string()),
        })
    }
}
