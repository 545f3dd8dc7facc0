//! What runs have told about nodes: reads the journals of their folders. Knows no plan, no manifest and no terminal.

mod following;
mod tail;

pub use following::Following;
pub use tail::Tail;

use crate::reason::Reason;
use crate::selector::Selector;
use ddpipe_cache::RunSeen;
use ddpipe_interface::Value as Axis;
use indexmap::IndexMap;
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// The journal in the folder of a run.
pub const JOURNAL: &str = "events.jsonl";
/// The newest lines of logs that have outgrown what the journal has of them so far; the older file first.
pub const LIVE: [&str; 2] = ["live-before.jsonl", "live.jsonl"];

/// The newest progress of every stage at work, as lines of the journal's form; written anew at most once a second, and gone when
/// the run has ended.
pub const PROGRESS: &str = "progress.jsonl";

/// So many runs are looked through for a node, newest first.
const RUNS: usize = 200;

/// Something that a run told about a node.
#[derive(Clone, Debug)]
pub struct Line {
    /// The node.
    pub node: String,
    /// The event, as `--json` has it.
    pub event: Value,
}

impl Line {
    /// Reads a line of a journal; none where it tells of no node. What is told of results after the end, as the event
    /// `baseline`, names groups of nodes and not what one of them did.
    pub fn parse(text: &str) -> Option<Self> {
        let event: Value = serde_json::from_str(text).ok()?;
        if matches!(event["event"].as_str(), Some("baseline" | "expectation" | "result")) {
            return None;
        }
        Some(Line { node: event["node"].as_str()?.to_string(), event })
    }

    /// The event's name: `started`, `log`, `finished`.
    pub fn name(&self) -> &str {
        self.event["event"].as_str().unwrap_or_default()
    }

    /// How the node ended, where this says it: `ran`, `failed`, `skipped`.
    pub fn status(&self) -> Option<&str> {
        (self.name() == "finished").then(|| self.event["status"].as_str()).flatten()
    }

    /// Whether it says that the node was at work in this run.
    fn is_of_work(&self) -> bool {
        matches!(self.name(), "started" | "log") || matches!(self.status(), Some("ran" | "failed" | "interrupted"))
    }
}

/// What a run told about some nodes, in order.
#[derive(Clone, Debug)]
pub struct Told {
    /// The run.
    pub run: RunSeen,
    /// What it told.
    pub lines: Vec<Line>,
}

/// Which nodes are meant.
#[derive(Clone, Copy, Debug)]
pub enum Which<'a> {
    /// The node of this address.
    Node(&'a str),
    /// All that a selector matches.
    Matching(&'a Selector),
}

impl Which<'_> {
    /// Whether a node of this address is meant.
    pub fn means(self, address: &str) -> bool {
        match self {
            Which::Node(node) => node == address,
            Which::Matching(selector) => address.parse::<Selector>().is_ok_and(|node| {
                let axes: IndexMap<String, Axis> =
                    node.axes.iter().map(|(axis, text)| (axis.clone(), axis_value(text))).collect();
                selector.matches(&node.stage, &axes)
            }),
        }
    }

    /// A text that lines about these nodes have, to pass over others quickly.
    fn needle(self) -> String {
        match self {
            Which::Node(node) => format!("\"node\":{}", Value::from(node)),
            Which::Matching(_) => "\"node\":".into(),
        }
    }
}

/// The text of an axis in an address, as the value that a selector compares with.
fn axis_value(text: &str) -> Axis {
    match (text.parse(), text.parse()) {
        (Ok(number), _) => Axis::Integer(number),
        (_, Ok(number)) => Axis::Float(number),
        _ => Axis::String(text.to_string()),
    }
}

/// The newest of these runs, of one pipeline or of all, in which one of these nodes was at work. The runs are sorted, the
/// oldest first.
pub fn newest(runs: &[RunSeen], pipeline: Option<&str>, which: Which<'_>) -> Option<Told> {
    let runs = runs.iter().rev().filter(|run| pipeline.is_none_or(|name| run.pipeline == name));
    runs.take(RUNS).find_map(|run| {
        let lines = of(&run.path, which);
        Some(Told { run: run.clone(), lines }).filter(Told::is_of_work)
    })
}

/// What the run of this folder told about these nodes; nothing where it has no journal.
pub fn of(folder: &Path, which: Which<'_>) -> Vec<Line> {
    let mut lines = read(&folder.join(JOURNAL), which);
    let ended = |lines: &[Line], node: &str| lines.iter().any(|line| line.node == node && line.status().is_some());
    let live = LIVE.iter().flat_map(|name| read(&folder.join(name), which)).collect::<Vec<_>>();
    let live: Vec<Line> = live.into_iter().filter(|line| !ended(&lines, &line.node)).collect();
    lines.extend(live);
    lines
}

fn read(path: &Path, which: Which<'_>) -> Vec<Line> {
    let Ok(file) = File::open(path) else { return Vec::new() };
    let needle = which.needle();
    let lines = BufReader::new(file).split(b'\n').map_while(Result::ok);
    let texts = lines.map(|line| String::from_utf8_lossy(&line).into_owned()).filter(|text| text.contains(&needle));
    texts.filter_map(|text| Line::parse(&text)).filter(|line| which.means(&line.node)).collect()
}

impl Told {
    /// Whether one of the nodes was at work there.
    pub fn is_of_work(&self) -> bool {
        self.lines.iter().any(Line::is_of_work)
    }

    /// The reasons that the node's last start in this run gave.
    pub fn reasons(&self) -> Vec<Reason> {
        let start = self.lines.iter().rev().find(|line| line.name() == "started");
        start.and_then(|line| serde_json::from_value(line.event["reasons"].clone()).ok()).unwrap_or_default()
    }

    /// How it ended in this run: the status, the key and what went wrong.
    pub fn outcome(&self) -> Option<(&str, Option<&str>, Option<&str>)> {
        let end = self.lines.iter().rev().find(|line| line.status().is_some())?;
        let key = end.event["key"].as_str();
        Some((end.status()?, key, end.event["failure"]["message"].as_str()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn nodes_are_meant_by_address_or_by_pattern() {
        let means = |selector: &str, node: &str| Which::Matching(&selector.parse().unwrap()).means(node);
        assert!(means("distill", "distill[method=dm,lr=0.5]") && means("dist*[lr=0.50]", "distill[method=dm,lr=0.5]"));
        assert!(means("a[seed=1]", "a[seed=1]") && means("a[name=\"c d\"]", "a[name=\"c d\"]"));
        assert!(!means("a[seed=2]", "a[seed=1]") && !means("a[x=1]", "a") && !means("a", "b"));
        assert!(Which::Node("a").means("a") && !Which::Node("a").means("a[seed=1]"));
    }

    #[test]
    fn a_folder_without_a_journal_tells_nothing() {
        let folder = tempfile::tempdir().unwrap();
        assert!(of(folder.path(), Which::Node("a")).is_empty());
        std::fs::write(folder.path().join(JOURNAL), "{\"event\":\"log\",\"node\":\"a\"}\nnot json \"node\":\"a\"\n")
            .unwrap();
        assert_eq!(of(folder.path(), Which::Node("a")).len(), 1);
        assert!(of(folder.path(), Which::Node("b")).is_empty());
    }
}
