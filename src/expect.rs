//! Whether a run met what its manifest expects. A function of records; prints nothing.

use crate::event::Met;
use crate::pipeline::{Expectation, Node, NodeId, Pipeline};
use ddpipe_cache::Record;
use ddpipe_interface::metric::MEASURED;
use indexmap::IndexMap;
use serde::Serialize;
use std::fmt;
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

/// An expectation that could not be checked.
#[derive(Clone, Debug)]
pub struct Unchecked {
    /// The metric as written, with the node's address where several nodes match.
    pub what: String,
    /// What was asked, in words.
    pub wanted: String,
    /// What was asked, as numbers.
    pub bounds: Bounds,
    /// Where it is written: `file:line`.
    pub place: String,
    /// Why it could not be checked.
    pub why: Why,
}

/// Why an expectation could not be checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// Nobody asked for its node, or for a node of its mean, and this is not on record.
    NotSelected,
    /// Its node is left out; the reason in words.
    LeftOut(String),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::NotSelected => f.write_str("not selected and not on record"),
            Why::LeftOut(reason) => f.write_str(reason),
        }
    }
}

/// What became of all expectations.
#[derive(Clone, Debug, Default)]
pub struct Checks {
    /// Those that could be checked.
    pub checked: Vec<Checked>,
    /// Those that could not.
    pub unchecked: Vec<Unchecked>,
}

impl Checked {
    /// Whether it was met or missed.
    pub fn verdict(&self) -> Met {
        if self.met { Met::Met } else { Met::Missed }
    }
}

impl Unchecked {
    fn of(expectation: &Expectation, what: String, why: Why) -> Self {
        let (wanted, place) = (wanted(expectation), expectation.place.to_string());
        Unchecked { what, wanted, bounds: Bounds::of(expectation), place, why }
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
    let mut checks = Checks::default();
    if pipeline.expectations.is_empty() {
        return checks;
    }
    let records: IndexMap<NodeId, &Record> = records.iter().map(|(node, record)| (*node, &**record)).collect();
    for expectation in &pipeline.expectations {
        let (nodes, left): (Vec<&Node>, Vec<&Node>) =
            pipeline.select(&expectation.node).partition(|node| !left_out.contains_key(&node.address()));
        let all = nodes.len() + left.len();
        let what = |node: &Node| match all {
            1 => expectation.metric.clone(),
            _ => format!("{}.{}", node.address(), expectation.name),
        };
        let mean = || format!("mean of {}", expectation.metric);
        let unchecked = |what, why| Unchecked::of(expectation, what, why);
        let reason = |node: &Node| Why::LeftOut(left_out.get(&node.address()).cloned().unwrap_or_default());
        let known = |node: &&Node| asked(node.id) || records.contains_key(&node.id);
        let (nodes, unknown): (Vec<&Node>, Vec<&Node>) = nodes.into_iter().partition(known);
        match (expectation.mean, left.len(), unknown.len()) {
            (_, 0, 0) => checks.checked.extend(one(expectation, &nodes, &records)),
            // A mean over some of them is another number.
            (true, 0, _) => checks.unchecked.push(unchecked(mean(), Why::NotSelected)),
            (true, _, _) => checks.unchecked.extend(left.first().map(|node| unchecked(mean(), reason(node)))),
            (false, _, _) => {
                let left = left.iter().map(|node| unchecked(what(node), reason(node)));
                let unknown = unknown.iter().map(|node| unchecked(what(node), Why::NotSelected));
                checks.unchecked.extend(left.chain(unknown));
                let known = nodes.iter();
                checks
                    .checked
                    .extend(known.map(|node| checked(expectation, what(node), value(expectation, node, &records))));
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
