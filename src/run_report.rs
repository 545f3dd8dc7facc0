//! What a run came to, as one value for CI systems: every node, expectation and comparison, and what else went wrong.
//! [`RunReport::junit`] and [`RunReport::markdown`] are texts of it. Knows no cache and writes no file.

mod junit;
mod markdown;

pub(crate) use markdown::{code, escaped};

use crate::baseline::Comparison;
use crate::event::{Event, Met, Observer, Outcome};
use crate::exit::Exit;
use crate::expect::{Checked, Unchecked};
use ddpipe_cache::Commit;
use ddpipe_interface::protocol::Cause;
use indexmap::IndexMap;
use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::SystemTime;

/// What a run came to.
#[derive(Debug)]
pub struct RunReport {
    /// The pipeline's name, or the manifest's file where it could not be read.
    pub pipeline: String,
    /// The run's folder in the cache; absent where it did not come to one.
    pub run: Option<String>,
    /// The manifest's file as it was named.
    pub manifest: String,
    /// The state of the project's git repository.
    pub commit: Option<Commit>,
    /// When it began.
    pub began: SystemTime,
    /// Its wall time.
    pub seconds: f64,
    /// Every node of the pipeline.
    pub nodes: Vec<NodeReport>,
    /// Every expectation.
    pub expectations: Vec<ExpectationReport>,
    /// What comparing with a baseline came to, where that was asked for.
    pub comparison: Option<Comparison>,
    /// The tables of the results: the node and its Markdown.
    pub tables: Vec<(String, String)>,
    /// The files in the results folder.
    pub files: Vec<PathBuf>,
    /// What went wrong apart from the nodes.
    pub faults: Vec<String>,
    /// The exit code.
    pub exit: Exit,
    /// Whether the run has ended at all: a report is written at its start too, in case it is killed.
    pub ended: bool,
}

/// One node.
#[derive(Clone, Debug)]
pub struct NodeReport {
    /// Its stage.
    pub stage: String,
    /// Its address.
    pub node: String,
    /// What became of it; none where it was not part of the run.
    pub outcome: Option<Outcome>,
    /// The attempts that failed before the last one.
    pub failed: Vec<Attempt>,
}

/// An attempt that failed and was followed by another.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The kind of failure.
    pub cause: Cause,
    /// What happened.
    pub message: String,
}

/// Gathers the attempts that failed, by node, as an observer. Clones share what they have seen.
#[derive(Clone, Debug, Default)]
pub struct Attempts(Rc<RefCell<IndexMap<String, Vec<Attempt>>>>);

impl Attempts {
    /// Those of a node that were followed by another.
    pub fn of(&self, node: &str) -> Vec<Attempt> {
        self.0.borrow().get(node).cloned().unwrap_or_default()
    }
}

impl Observer for Attempts {
    fn on_event(&mut self, event: &Event) {
        if let Event::Retried { node, cause, message, .. } = event {
            let attempt = Attempt { cause: *cause, message: message.clone() };
            self.0.borrow_mut().entry(node.clone()).or_default().push(attempt);
        }
    }
}

/// One expectation.
#[derive(Clone, Debug)]
pub struct ExpectationReport {
    /// The node and the metric.
    pub metric: String,
    /// What was asked and found, in words: `0.9312, wanted at least 0.96`; of one that was not checked, the reason.
    pub words: String,
    /// Whether it was met.
    pub verdict: Met,
    /// Where the manifest says it.
    pub place: String,
}

impl ExpectationReport {
    /// Of a checked expectation.
    pub fn of(checked: &Checked) -> Self {
        let value = checked.value.map_or("not measured".to_string(), |value| format!("{value:.4}"));
        ExpectationReport {
            metric: checked.what.clone(),
            words: format!("{value}, wanted {}", checked.wanted),
            verdict: checked.verdict(),
            place: checked.place.clone(),
        }
    }

    /// Of one that could not be checked.
    pub fn of_unchecked(unchecked: &Unchecked) -> Self {
        ExpectationReport {
            metric: unchecked.what.clone(),
            words: format!("{}, wanted {}", unchecked.why, unchecked.wanted),
            verdict: Met::NotChecked,
            place: unchecked.place.clone(),
        }
    }
}
