//! What came of a run, kept in its folder as `outcome.json`, also of one that failed or was interrupted: so a run can be
//! looked at when its records and its manifest are gone. A run without the file is at work, or its process died. Knows not
//! how that is shown.

use crate::baseline::{Comparison, Verdict};
use crate::event::{Event, Failure, Observer, Outcome, Status};
use crate::expect::Checked;
use crate::pipeline::{Node, Pipeline};
use crate::results::Written;
use crate::sources::Sources;
use ddpipe_cache::{CacheError, RunDir, SourceSeen, numbers};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

/// The file's name in the folder of a run.
pub const FILE: &str = "outcome.json";
/// So many results of a node are noted, in the order in which its kind declares them; its record has all.
const RESULTS: usize = 4;

/// What came of a run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Ended {
    /// The version of ddpipe.
    pub ddpipe: String,
    /// When it began, in seconds since 1970.
    pub begun_unix: f64,
    /// Wall time.
    pub seconds: f64,
    /// The exit code.
    pub exit: u8,
    /// What went wrong beside the nodes: a source that is missing, results that could not be written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
    /// Nodes per status.
    pub counts: IndexMap<Status, usize>,
    /// The nodes of the run by address.
    pub nodes: IndexMap<String, NodeEnded>,
    /// What the manifest expects, and what came out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expectations: Vec<Expected>,
    /// What comparing with a baseline came to, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<BesideBaseline>,
    /// The files from outside, as `source/file`.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub sources: IndexMap<String, SourceSeen>,
    /// The files for people that its nodes left.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub results: Vec<PathBuf>,
}

/// What became of one node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeEnded {
    /// How it ended.
    pub status: Status,
    /// The key of its action, where it got that far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Seconds of the stage itself; 0 of a node that did not run.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub seconds: f64,
    /// Why it ran.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// Its main results.
    #[serde(default, with = "numbers", skip_serializing_if = "IndexMap::is_empty")]
    pub metrics: IndexMap<String, f64>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// One expectation, checked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Expected {
    /// The metric as written, with the node's address where several nodes match.
    pub what: String,
    /// The value; absent where none was measured, or where it is not finite.
    pub value: Option<f64>,
    /// What was asked, in words: `at least 0.96`.
    pub wanted: String,
    /// Whether it was met.
    pub met: bool,
    /// Where it is written.
    pub place: String,
}

/// A run beside a baseline.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct BesideBaseline {
    /// The baseline's name.
    pub name: String,
    /// The verdicts in words: `1 worse, 3 same`.
    pub counts: String,
    /// Every metric that is worse, with its values: `evaluate.accuracy: 0.8100 (n 3) -> 0.7000 (n 3)`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub worse: Vec<String>,
}

impl BesideBaseline {
    /// Of a comparison.
    pub fn of(comparison: &Comparison) -> Self {
        let worse = comparison.rows.iter().filter(|row| row.verdict == Verdict::Worse);
        BesideBaseline {
            name: comparison.name.clone(),
            counts: comparison.counts(),
            worse: worse.map(|row| format!("{}.{}: {}", row.node, row.metric, row.values())).collect(),
        }
    }
}

fn is_zero(seconds: &f64) -> bool {
    *seconds == 0.0
}

impl Ended {
    /// A run that begins now.
    pub fn begun() -> Self {
        let begun_unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        Ended { ddpipe: env!("CARGO_PKG_VERSION").to_string(), begun_unix, ..Ended::default() }
    }

    /// Notes what became of the nodes, and why those ran that did.
    pub fn note_nodes(&mut self, pipeline: &Pipeline, outcomes: &[Outcome], reasons: &Reasons) {
        // Outcomes are in the pipeline's order.
        let mut nodes = pipeline.nodes.iter();
        let reasons = reasons.0.borrow();
        self.nodes.reserve(outcomes.len());
        for outcome in outcomes {
            *self.counts.entry(outcome.status).or_default() += 1;
            let metrics = match nodes.find(|node| node.address == outcome.node) {
                Some(node) => main_results(pipeline, node, outcome),
                None => IndexMap::new(),
            };
            let node = NodeEnded {
                status: outcome.status,
                key: outcome.key.clone(),
                seconds: outcome.seconds,
                reasons: reasons.get(&outcome.node).cloned().unwrap_or_default(),
                metrics,
                failure: outcome.failure.clone(),
            };
            self.nodes.insert(outcome.node.clone(), node);
        }
    }

    /// Notes the files that the nodes read.
    pub fn note_sources(&mut self, sources: &Sources) {
        self.sources = sources.iter().map(|(name, seen)| (name, seen.clone())).collect();
    }

    /// Notes what was expected, how it stands beside a baseline, and what was left for people.
    pub fn note_results(&mut self, checked: &[Checked], comparison: Option<&Comparison>, written: &Written) {
        let expected = |check: &Checked| Expected {
            what: check.what.clone(),
            value: check.value.filter(|value| value.is_finite()),
            wanted: check.wanted.clone(),
            met: check.met,
            place: check.place.clone(),
        };
        self.expectations = checked.iter().map(expected).collect();
        self.baseline = comparison.map(BesideBaseline::of);
        self.results = written.files.clone();
    }

    /// How many nodes ended so.
    pub fn count(&self, status: Status) -> usize {
        self.counts.get(&status).copied().unwrap_or(0)
    }

    /// How many nodes have no result.
    pub fn without_result(&self) -> usize {
        [Status::Failed, Status::Interrupted, Status::Skipped].map(|status| self.count(status)).iter().sum()
    }

    /// Whether it only looked at what was there: nothing ran, and nothing went wrong.
    pub fn only_looked(&self) -> bool {
        self.count(Status::Ran) == 0 && self.without_result() == 0 && self.faults.is_empty()
    }

    /// Writes it into the folder of its run, whole or not at all. Not flushed: a run with nothing to do should take
    /// milliseconds.
    ///
    /// # Errors
    /// Those of the cache.
    pub fn write(&self, run: &RunDir) -> Result<(), CacheError> {
        run.write(FILE, &self.text())
    }

    /// As [`Ended::write`], for who has only the folder's name.
    ///
    /// # Errors
    /// I/O errors.
    pub fn write_into(&self, folder: &Path) -> std::io::Result<()> {
        let aside = folder.join(format!(".{FILE}"));
        std::fs::write(&aside, self.text())?;
        std::fs::rename(aside, folder.join(FILE))
    }

    fn text(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec(self).unwrap_or_default();
        text.push(b'\n');
        text
    }

    /// What came of the run in this folder; none where it has not ended or is of a version that did not note it.
    pub fn in_folder(run: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(run.join(FILE)).ok()?).ok()
    }
}

/// The first results that a node's kind declares; of a kind that declares none, the first that there are.
fn main_results(pipeline: &Pipeline, node: &Node, outcome: &Outcome) -> IndexMap<String, f64> {
    let kind = pipeline.catalog.declaration(&node.kind);
    let mut metrics = outcome.metrics.clone();
    metrics.retain(|name, _| !kind.is_some_and(|kind| kind.is_measured(name, &node.params)));
    let place = |name: &String| kind.and_then(|kind| kind.metrics.get_index_of(name)).unwrap_or(usize::MAX);
    metrics.sort_by_cached_key(|name, _| place(name));
    metrics.truncate(RESULTS);
    metrics
}

/// Gathers why nodes run, as an observer. Clones share what they have seen.
#[derive(Clone, Debug, Default)]
pub struct Reasons(Rc<RefCell<IndexMap<String, Vec<String>>>>);

impl Observer for Reasons {
    fn on_event(&mut self, event: &Event) {
        if let Event::Started { node, reasons, .. } = event {
            // A further attempt has the reasons of the first.
            let words = || reasons.iter().map(ToString::to_string).collect();
            self.0.borrow_mut().entry(node.clone()).or_insert_with(words);
        }
    }
}
