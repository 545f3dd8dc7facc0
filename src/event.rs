//! What a run tells while it goes on. One stream of events feeds the bars, the plain lines, `--json` and the run's own
//! log; nothing else reports.

use crate::baseline::Compared;
use crate::diagnostic::Diagnosed;
use crate::expect::Bounds;
use crate::reason::Reason;
use ddpipe_cache::Key;
use ddpipe_interface::protocol::{Cause, LogLevel};
use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, Serialize};
use std::path::PathBuf;
use std::time::SystemTime;

/// One thing that happened. Nodes are named by address. Those of the work itself can be read back from a journal; those that
/// look at its results cannot.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
    /// How long what has to run is expected to take, from what is on record.
    Expected {
        /// How many stages run at once.
        jobs: usize,
        /// The nodes that run or may run; null where nothing is known.
        seconds: IndexMap<String, Option<f64>>,
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
        /// The step after which it continues, where an interrupted run left a checkpoint.
        #[serde(skip_serializing_if = "Option::is_none")]
        continues: Option<u64>,
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
    /// How many pilots of the run do what, when that has changed.
    Pilots {
        /// At work.
        working: usize,
        /// Waiting for the batch system to start them.
        queued: usize,
        /// Why they wait, in the batch system's words; null where it gives no reason.
        reason: Option<String>,
    },
    /// Something worth saying that concerns no single node.
    Warning {
        /// The text.
        text: String,
    },
    /// A node has its outcome.
    Finished(Outcome),
    /// All nodes have their outcomes. What follows looks at the results.
    Ended {
        /// Nodes per status.
        counts: IndexMap<Status, usize>,
        /// Wall time of the run.
        seconds: f64,
    },
    /// The manifest, or another file that the user wrote, is at fault or worth a word.
    #[serde(skip_deserializing)]
    Diagnostic(Diagnosed),
    /// Whether an expectation was met.
    #[serde(skip_deserializing)]
    Expectation {
        /// The node and the metric.
        metric: String,
        /// The value; null where no record has it, and where it is not a finite number.
        value: Option<f64>,
        /// What was asked, as numbers.
        #[serde(flatten)]
        bounds: Bounds,
        /// What was asked, in words.
        wanted: String,
        /// Whether it was met.
        verdict: Met,
        /// Where the manifest says it.
        place: String,
        /// Why it could not be checked.
        #[serde(skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// A file in the results folder that this run's nodes made.
    #[serde(skip_deserializing)]
    Result {
        /// The node.
        node: String,
        /// The node's output.
        output: String,
        /// The file, absolute.
        path: PathBuf,
        /// The digest of its bytes.
        digest: String,
    },
    /// A metric of a group of nodes beside its baseline.
    #[serde(skip_deserializing)]
    Baseline(Compared),
    /// What went wrong apart from the nodes: nothing could be run, or results could not be read or written.
    #[serde(skip_deserializing)]
    Error {
        /// The text, with the way out; may have several lines.
        message: String,
        /// The exit code that it stands for.
        code: u8,
    },
    /// The last event: the command ends.
    #[serde(skip_deserializing)]
    Exit {
        /// The exit code.
        code: u8,
        /// The exit code in a word: `ok`, `stage`, `usage`, `cache`, `missed`, `incomparable`, `interrupted`, `hung_up`, `terminated`.
        outcome: String,
    },
}

/// Whether an expectation was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Met {
    /// The value lies within the bounds.
    Met,
    /// It does not, or was not measured.
    Missed,
    /// It was not part of the run.
    NotChecked,
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
    /// It needs a file of an optional source that is not there, or reads what does.
    LeftOut,
}

/// What became of one node. Failures are outcomes too.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// The node.
    pub node: String,
    /// How it ended.
    pub status: Status,
    /// The action's key, where it got that far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Seconds of the stage itself.
    pub seconds: f64,
    /// Peak memory in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory: Option<u64>,
    /// Scalar results.
    #[serde(default, deserialize_with = "numbers", skip_serializing_if = "IndexMap::is_empty")]
    pub metrics: IndexMap<String, f64>,
    /// Those of them that are worth a look at once, as the kind declares.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headline: Vec<Headline>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

impl Outcome {
    /// The outcome of a node that ran, of which nothing else is known.
    pub fn of(node: impl Into<String>) -> Self {
        Outcome {
            node: node.into(),
            status: Status::Ran,
            key: None,
            seconds: 0.0,
            peak_memory: None,
            metrics: IndexMap::new(),
            headline: Vec::new(),
            failure: None,
        }
    }
}

/// A result that is worth a look at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Headline {
    /// The metric's name.
    pub name: String,
    /// Its value.
    #[serde(deserialize_with = "number")]
    pub value: f64,
    /// Its unit, where one is declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

/// A number; JSON has none for values that are not finite, and `null` stands for them.
fn number<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(from)?.unwrap_or(f64::NAN))
}

fn numbers<'de, D: Deserializer<'de>>(from: D) -> Result<IndexMap<String, f64>, D::Error> {
    let read = IndexMap::<String, Option<f64>>::deserialize(from)?;
    Ok(read.into_iter().map(|(name, value)| (name, value.unwrap_or(f64::NAN))).collect())
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

    /// As [`Observer::on_event`], where the event is told later than it happened.
    fn on_event_at(&mut self, event: &Event, _at: SystemTime) {
        self.on_event(event);
    }

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

#[cfg(test)]
mod documented;
