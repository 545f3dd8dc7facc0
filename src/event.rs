//! What a run tells while it goes on. One stream of events feeds the bars, the plain lines, `--json` and the run's own
//! log; nothing else reports.

use crate::reason::Reason;
use ddpipe_cache::Key;
use ddpipe_interface::protocol::{Cause, LogLevel};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// One thing that happened. Nodes are named by address.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The run begins.
    Begun {
        /// The pipeline's name.
        pipeline: String,
        /// The run's folder under the cache.
        run: String,
        /// Nodes in this run.
        nodes: usize,
        /// Nodes that are on record already, as far as that is known before the run.
        fresh: usize,
    },
    /// A file is being downloaded.
    Download {
        /// The file.
        file: String,
        /// Bytes so far.
        done: u64,
        /// Bytes in all, where the server says so.
        total: Option<u64>,
    },
    /// A node starts on a device slot.
    Started {
        /// The node.
        node: String,
        /// Its kind.
        kind: String,
        /// The slot: `cpu`, `cuda:0`.
        slot: String,
        /// Why it runs; never empty.
        reasons: Vec<Reason>,
    },
    /// How far a node has come.
    Progress {
        /// The node.
        node: String,
        /// Steps done.
        step: u64,
        /// Steps in all.
        total: u64,
        /// The loss, where there is one.
        loss: Option<f64>,
        /// What a step is: `iterations`, `epochs`, …
        unit: String,
    },
    /// One point of a curve.
    Metric {
        /// The node.
        node: String,
        /// The curve.
        name: String,
        /// The step that the value belongs to.
        step: u64,
        /// The value.
        value: f64,
    },
    /// A picture on the way.
    Preview {
        /// The node.
        node: String,
        /// After how many steps.
        step: u64,
        /// The file.
        path: PathBuf,
    },
    /// A line that a stage logged.
    Log {
        /// The node.
        node: String,
        /// The level of the line: `warn` lines are shown to the user.
        level: LogLevel,
        /// The line.
        text: String,
    },
    /// Another process computes this very action; the node waits for it.
    Waiting {
        /// The node.
        node: String,
        /// The process that it waits for, in words.
        holder: String,
    },
    /// Nothing has been heard of a running node for a while.
    Silent {
        /// The node.
        node: String,
        /// Seconds since its worker last said anything about it.
        seconds: f64,
    },
    /// An attempt of a node failed, and the node is tried again.
    Retried {
        /// The node.
        node: String,
        /// How many of its attempts have failed by now.
        failed: u32,
        /// How many further attempts its stage has in all.
        times: u32,
        /// The kind of failure.
        cause: Cause,
        /// What happened.
        message: String,
    },
    /// Something worth saying that concerns no single node.
    Warning {
        /// The text.
        text: String,
    },
    /// A node has its outcome.
    Finished(Outcome),
    /// The run is over.
    Ended {
        /// Nodes per status.
        counts: IndexMap<Status, usize>,
        /// Wall time of the run.
        seconds: f64,
    },
}

/// How a node ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It ran, and its record is committed.
    Ran,
    /// It was on record and did not run.
    Fresh,
    /// It failed.
    Failed,
    /// It was asked to stop; its checkpoint is saved where its kind keeps one.
    Interrupted,
    /// It could not run because of another node.
    Skipped,
}

/// What became of one node. Failures are outcomes too.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The node.
    pub node: String,
    /// How it ended.
    pub status: Status,
    /// The action's key, where it got that far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Seconds of the stage itself.
    pub seconds: f64,
    /// Peak memory in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_memory: Option<u64>,
    /// Scalar results.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub metrics: IndexMap<String, f64>,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// Why a node has no result.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// The kind of failure; absent for a skipped node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// What happened. For a skipped node, which node is to blame.
    pub message: String,
    /// The next step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The last lines that it logged.
    #[serde(default)]
    pub log: Vec<String>,
}

/// Whoever wants to see events. Observers cannot influence the run.
pub trait Observer {
    /// Called for every event, in order, on the scheduler's thread.
    fn on_event(&mut self, event: &Event);

    /// Called before the record of this key is committed, and when it is found: from now on the run counts on it.
    fn reaches(&mut self, _key: Key) {}
}

/// Several observers are one: each is told every event, in order.
impl Observer for Vec<Box<dyn Observer>> {
    fn on_event(&mut self, event: &Event) {
        for observer in self {
            observer.on_event(event);
        }
    }

    fn reaches(&mut self, key: Key) {
        for observer in self {
            observer.reaches(key);
        }
    }
}
