//! Whether a run met what its manifest expects. A function of records; prints nothing.

use crate::event::Met;
use crate::pipeline::{Expectation, Node, NodeId, Pipeline};
use ddpipe_cache::Record;
use ddpipe_interface::metric::MEASURED;
use indexmap::IndexMap;
use serde::Serialize;
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
    /// What was asked, as numbers.
    pub bounds: Bounds,
    /// Whether the value was measured and lies within the bounds.
    pub met: bool,
    /// Where it is written: `file:line`.
    pub place: String,
}

/// What became of all expectations.
#[derive(Clone, Debug, Default)]
pub struct Checks {
    /// Those that could be checked.
    pub checked: Vec<Checked>,
    /// How many could not: nobody asked for their nodes, and these are not on record.
    pub unasked: usize,
    /// Those about nodes that are left out, in words.
    pub left_out: Vec<String>,
}

impl Checked {
    /// Whether it was met, missed, or not checked.
    pub fn verdict(&self) -> Met {
        if self.met { Met::Met } else { Met::Missed }
    }
}

/// What an expectation asks for, as numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Bounds {
    /// Smallest value that passes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_least: Option<f64>,
    /// Largest value that passes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_most: Option<f64>,
    /// The value to be met, up to `within`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub equals: Option<f64>,
    /// How far from `equals` still passes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<f64>,
}

impl Bounds {
    fn of(expectation: &Expectation) -> Self {
        let Expectation { at_least, at_most, equals, within, .. } = expectation;
        Bounds { at_least: *at_least, at_most: *at_most, equals: *equals, within: equals.map(|_| *within) }
    }
}

/// Checks every expectation against the records of a finished run. An expectation about nodes that were not part of the
/// run counts as missed: nobody has measured it.
pub fn check(pipeline: &Pipeline, records: &[(NodeId, Arc<Record>)]) -> Vec<Checked> {
    check_asked(pipeline, records, &|_| true, &IndexMap::new()).checked
}

/// As [`check`], where the run was asked for some of the nodes only. `records` may hold those of further nodes. Nodes that
/// are left out, by address with the reason, are not checked.
pub fn check_asked(
    pipeline: &Pipeline,
    records: &[(NodeId, Arc<Record>)],
    asked: &dyn Fn(NodeId) -> bool,
    left_out: &IndexMap<String, String>,
) -> Checks {
    let records: IndexMap<NodeId, &Record> = records.iter().map(|(node, record)| (*node, &**record)).collect();
    let mut checks = Checks::default();
    for expectation in &pipeline.expectations {
        let (nodes, left): (Vec<&Node>, Vec<&Node>) =
            pipeline.select(&expectation.node).partition(|node| !left_out.contains_key(&node.address()));
        if let Some((first, reason)) = left.first().and_then(|node| left_out.get_key_value(&node.address())) {
            let which = match nodes.is_empty() {
                true => expectation.metric.clone(),
                false => format!("{} of {first}", expectation.name),
            };
            checks.left_out.push(format!("expect {which}: not checked, {reason} ({})", expectation.place));
        }
        let known = |node: &&Node| asked(node.id) || records.contains_key(&node.id);
        let (nodes, unknown): (Vec<&Node>, Vec<&Node>) = nodes.into_iter().partition(known);
        match (expectation.mean, left.len(), unknown.len()) {
            (_, 0, 0) => checks.checked.extend(one(expectation, &nodes, &records)),
            // A mean over some of them is another number.
            (true, 0, _) => checks.unasked += 1,
            (true, _, _) => {}
            (false, _, count) => {
                checks.unasked += count;
                checks.checked.extend(nodes.iter().map(|node| {
                    let what = format!("{}.{}", node.address(), expectation.name);
                    checked(expectation, what, value(expectation, node, &records))
                }));
            }
        }
    }
    checks
}

/// The nodes whose expectations can only be checked if they are on record.
pub fn unasked<'a>(pipeline: &'a Pipeline, asked: &'a dyn Fn(NodeId) -> bool) -> impl Iterator<Item = &'a Node> {
    let expected = pipeline.expectations.iter().flat_map(|expectation| pipeline.select(&expectation.node));
    expected.filter(move |node| !asked(node.id))
}

fn value(expectation: &Expectation, node: &Node, records: &IndexMap<NodeId, &Record>) -> Option<f64> {
    records.get(&node.id).and_then(|record| record.number(name_of(expectation)))
}

fn checked(expectation: &Expectation, what: String, value: Option<f64>) -> Checked {
    Checked {
        what,
        value,
        wanted: wanted(expectation),
        bounds: Bounds::of(expectation),
        met: value.is_some_and(|value| meets(expectation, value)),
        place: expectation.place.to_string(),
    }
}

fn one(expectation: &Expectation, nodes: &[&Node], records: &IndexMap<NodeId, &Record>) -> Vec<Checked> {
    if expectation.mean {
        let values: Option<Vec<f64>> = nodes.iter().map(|node| value(expectation, node, records)).collect();
        let mean =
            values.filter(|values| !values.is_empty()).map(|values| values.iter().sum::<f64>() / values.len() as f64);
        return vec![checked(expectation, format!("mean of {}", expectation.metric), mean)];
    }
    let name = |node: &Node| match nodes.len() {
        1 => expectation.metric.clone(),
        _ => format!("{}.{}", node.address(), expectation.name),
    };
    nodes.iter().map(|node| checked(expectation, name(node), value(expectation, node, records))).collect()
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
