//! What the records of a cell say: the mean over its nodes where several are on record, else over what the one took the mean
//! of itself; what it took, on which hardware, and what of it is not as it should be.

use super::protocol::behind;
use super::{Measured, Recorded};
use crate::baseline::statistics::{deviation, mean};
use crate::pipeline::{NodeId, Pipeline};
use crate::published::Published;
use ddpipe_cache::Record;
use ddpipe_interface::Value;
use ddpipe_interface::metric::Metric;
use indexmap::IndexSet;

/// What was measured of a metric, and notes for the reader.
pub fn measured<'a>(
    pipeline: &Pipeline,
    published: &Published,
    nodes: &[NodeId],
    name: &str,
    metric: Option<&Metric>,
    record: &dyn Fn(NodeId) -> Option<&'a Record>,
) -> (Option<Measured>, Vec<String>) {
    let there = |id: &NodeId| record(*id).and_then(|record| Some((*id, record, record.number(name)?)));
    let on_record = nodes.iter().filter(|id| record(**id).is_some()).count();
    let there: Vec<(NodeId, &Record, f64)> = nodes.iter().filter_map(there).collect();
    let values: Vec<f64> = there.iter().map(|(_, _, value)| *value).collect();
    let (spread, n, over) = match there.as_slice() {
        [] if on_record > 0 => return (None, vec![format!("what is on record has no metric {name:?}")]),
        [] => return (None, Vec::new()),
        [(id, record, _)] => within(pipeline, *id, record, metric),
        _ => (Some(deviation(&values)), values.len() as u64, Some(published.over.join(", "))),
    };
    let mut notes = Vec::new();
    if there.len() < nodes.len() {
        notes.push(format!("{} of {} nodes are on record", there.len(), nodes.len()));
    }
    let (mut seconds, mut lacking) = (0.0, 0);
    let (mut hardware, mut commits) = (IndexSet::new(), IndexSet::new());
    let (mut unverified, mut changed) = (IndexSet::new(), false);
    let ids: Vec<NodeId> = there.iter().map(|(id, ..)| *id).collect();
    for id in behind(pipeline, &ids) {
        let Some(record) = record(id) else {
            lacking += 1;
            continue;
        };
        let made = &record.provenance;
        seconds += made.seconds;
        hardware.insert(made.device_name.clone());
        if let Some(commit) = &made.commit {
            commits.insert(commit.hash.clone());
            changed |= commit.dirty;
        }
        let stated = |seen: &ddpipe_cache::SourceSeen| seen.md5.is_some() || seen.sha256.is_some();
        unverified
            .extend(record.sources.iter().filter(|(_, seen)| stated(seen) && !seen.verified).map(|it| it.0.clone()));
    }
    if !unverified.is_empty() {
        let names: Vec<String> = unverified.into_iter().collect();
        notes.push(format!("other bytes than the manifest pins: {}", names.join(", ")));
    }
    if changed {
        notes.push("files of the project differed from its commit".into());
    }
    if lacking > 0 {
        notes.push(format!("the time of {lacking} nodes behind it is not known"));
    }
    let recorded = |(id, record, _): &(NodeId, &Record, f64)| Recorded {
        node: pipeline.node(*id).address(),
        key: record.key.hex(),
    };
    let measured = Measured {
        mean: mean(&values),
        deviation: spread,
        n,
        over,
        records: there.iter().map(recorded).collect(),
        seconds,
        hardware: hardware.into_iter().filter(|name| !name.is_empty()).collect(),
        commits: commits.into_iter().collect(),
    };
    (Some(measured), notes)
}

/// The spread of a single node: that of the values which it took the mean over, where its kind says so.
fn within(
    pipeline: &Pipeline,
    id: NodeId,
    record: &Record,
    metric: Option<&Metric>,
) -> (Option<f64>, u64, Option<String>) {
    let spread = metric.and_then(|metric| metric.spread.as_ref());
    let of = |spread: &ddpipe_interface::metric::Spread| {
        let deviation = record.number(&spread.deviation)?;
        match pipeline.node(id).params.get(&spread.over) {
            Some(Value::Integer(n @ 2..)) => Some((Some(deviation), n.unsigned_abs(), Some(spread.over.clone()))),
            _ => None,
        }
    };
    spread.and_then(of).unwrap_or((None, 1, None))
}
