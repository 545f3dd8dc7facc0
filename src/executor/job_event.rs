//! What happens to a job, as the scheduler hears of it: the worker's messages without those that are about the worker
//! itself.

use ddpipe_interface::protocol::{Cause, FromWorker, JobId, LogLevel, OutputArtifact};
use indexmap::IndexMap;
use std::path::PathBuf;

/// One thing that happened to a job.
#[derive(Clone, Debug)]
pub enum JobEvent {
    /// How far the job has come.
    Progress {
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
        /// The curve.
        name: String,
        /// The step that the value belongs to.
        step: u64,
        /// The value.
        value: f64,
    },
    /// A picture of an intermediate result.
    Preview {
        /// After how many steps.
        step: u64,
        /// A PNG file.
        path: PathBuf,
    },
    /// A line for the log.
    Log {
        /// The level of the line: `warn` lines are shown to the user.
        level: LogLevel,
        /// One line.
        text: String,
    },
    /// The stage is over. Its outputs are known by digest, and their bytes are being written.
    Done(JobResult),
    /// All outputs lie in the cache, flushed.
    Stored,
    /// The job failed, or its outputs could not be written (then this follows `Done`).
    Failed {
        /// What kind of failure.
        cause: Cause,
        /// What happened, location first.
        message: String,
        /// What to do next, where it is known.
        hint: Option<String>,
    },
}

/// What a stage gave.
#[derive(Clone, Debug)]
pub struct JobResult {
    /// Every declared output; none when the stage asks for more.
    pub outputs: IndexMap<String, OutputArtifact>,
    /// Positions of absent artifacts that the stage needs, by input: it is run again with them.
    pub asks: IndexMap<String, Vec<usize>>,
    /// Scalar results.
    pub metrics: IndexMap<String, f64>,
    /// Seconds of the stage itself.
    pub seconds: f64,
    /// Peak memory in bytes, where it can be known.
    pub peak_memory: Option<u64>,
}

impl JobEvent {
    /// The job that a worker's message is about, and what happened to it; none for messages about the worker.
    pub fn of_message(message: FromWorker) -> Option<(JobId, JobEvent)> {
        Some(match message {
            FromWorker::Hello { .. } => return None,
            FromWorker::Progress { id, step, total, loss, unit } => {
                (id, JobEvent::Progress { step, total, loss, unit })
            }
            FromWorker::Metric { id, name, step, value } => (id, JobEvent::Metric { name, step, value }),
            FromWorker::Preview { id, step, path } => (id, JobEvent::Preview { step, path }),
            FromWorker::Log { id, level, text } => (id, JobEvent::Log { level, text }),
            FromWorker::Done { id, outputs, asks, metrics, seconds, peak_memory } => {
                (id, JobEvent::Done(JobResult { outputs, asks, metrics, seconds, peak_memory }))
            }
            FromWorker::Stored { id } => (id, JobEvent::Stored),
            FromWorker::Failed { id, cause, message, hint } => (id, JobEvent::Failed { cause, message, hint }),
        })
    }
}
