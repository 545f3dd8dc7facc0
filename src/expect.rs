//! Whether a run met what its manifest expects. A function of records; prints nothing.

use crate::pipeline::{Expectation, NodeId, Pipeline};
use ddpipe_cache::Record;
use ddpipe_interface::metric::MEASURED;
use indexmap::IndexMap;
use std::sync::Arc;

/// One checked expectation.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The metric as written, with the node's address where several nodes match.
    pub what: String,
    /// The value, absent where no record has it.
    pub value: Option<f64>,
    /// What was asked, in words: `at least 0.96`.
    pub wanted: String,
    /// Whether the value was measured and lies within the bounds.
    pub met: bool,
    /// Where it is written: `file:line`.
    pub place: String,
}

/// Checks every expectation against the records of a finished run. An expectation about nodes that were not part of the
/// run counts as missed: nobody has measured it.
pub fn check(pipeline: &Pipeline, records: &[(NodeId, Arc<Record>)]) -> Vec<Checked> {
    let records: IndexMap<NodeId, &Record> = records.iter().map(|(node, record)| (*node, &**record)).collect();
    pipeline.expectations.iter().flat_map(|expectation| one(pipeline, expectation, &records)).collect()
}

/// As [`check`], but for expectations about nodes that are left out, by address with the reason: those are not checked, and
/// the second part of the result says so.
pub fn check_but(
    pipeline: &Pipeline,
    records: &[(NodeId, Arc<Record>)],
    left_out: &IndexMap<String, String>,
) -> (Vec<Checked>, Vec<String>) {
    let (mut checked, mut unchecked) = (Vec::new(), Vec::new());
    let records: IndexMap<NodeId, &Record> = records.iter().map(|(node, record)| (*node, &**record)).collect();
    for expectation in &pipeline.expectations {
        let reasons = pipeline.select(&expectation.node).filter_map(|node| left_out.get_full(&node.address()));
        let mut left = reasons.peekable();
        let Some((_, node, reason)) = left.peek().copied() else {
            checked.extend(one(pipeline, expectation, &records));
            continue;
        };
        let all = pipeline.select(&expectation.node).count() == left.count();
        let which = if all { expectation.metric.clone() } else { format!("{} of {node}", expectation.name) };
        unchecked.push(format!("expect {which}: not checked, {reason} ({})", expectation.place));
        if !all && !expectation.mean {
            let mut here = one(pipeline, expectation, &records);
            let nodes: Vec<_> = pipeline.select(&expectation.node).map(|node| node.address()).collect();
            let mut kept = nodes.iter().map(|node| !left_out.contains_key(node));
            here.retain(|_| kept.next().unwrap_or(true));
            checked.extend(here);
        }
    }
    (checked, unchecked)
}

fn one(pipeline: &Pipeline, expectation: &Expectation, records: &IndexMap<NodeId, &Record>) -> Vec<Checked> {
    let nodes: Vec<_> = pipeline.select(&expectation.node).collect();
    let value = |id: NodeId| records.get(&id).and_then(|record| record.number(name_of(expectation)));
    let checked = |what: String, value: Option<f64>| Checked {
        what,
        value,
        wanted: wanted(expectation),
        met: value.is_some_and(|value| meets(expectation, value)),
        place: expectation.place.to_string(),
    };
    if expectation.mean {
        let values: Option<Vec<f64>> = nodes.iter().map(|node| value(node.id)).collect();
        let mean =
            values.filter(|values| !values.is_empty()).map(|values| values.iter().sum::<f64>() / values.len() as f64);
        return vec![checked(format!("mean of {}", expectation.metric), mean)];
    }
    let name = |node: &crate::pipeline::Node| match nodes.len() {
        1 => expectation.metric.clone(),
        _ => format!("{}.{}", node.address(), expectation.name),
    };
    nodes.iter().map(|node| checked(name(node), value(node.id))).collect()
}

/// The metric's name in records.
fn name_of(expectation: &Expectation) -> &str {
    expectation.name.strip_prefix(MEASURED).unwrap_or(&expectation.name)
}

fn meets(expectation: &Expectation, value: f64) -> bool {
    let low = expectation.at_least.is_none_or(|bound| value >= bound);
    let high = expectation.at_most.is_none_or(|bound| value <= bound);
    let same = expectation.equals.is_none_or(|target| (value - target).abs() <= expectation.within);
    low && high && same && !value.is_nan()
}

fn wanted(expectation: &Expectation) -> String {
    let mut parts = Vec::new();
    if let Some(bound) = expectation.at_least {
        parts.push(format!("at least {bound}"));
    }
    if let Some(bound) = expectation.at_most {
        parts.push(format!("at most {bound}"));
    }
    if let Some(target) = expectation.equals {
        parts.push(match expectation.within {
            0.0 => format!("{target}"),
            within => format!("{target} ± {within}"),
        });
    }
    parts.join(" and ")
}
