//! Who runs a job. The scheduler knows this trait alone: workers on this machine stand behind it, and a fake in tests.
//! An executor knows nothing of the graph, of keys or of records.

mod conversation;
mod death;
mod job_event;
mod local;
mod program;
mod rendezvous;
mod scripted;
mod worker;

pub use death::Death;
pub use job_event::{JobEvent, JobResult};
pub use local::{Local, LocalSettings};
pub use program::{runtime, worker_program};
pub use scripted::{Scripted, Step};

use ddpipe_cache::Numerics;
use ddpipe_interface::protocol::{Job, JobId};
use std::time::Duration;

/// What an executor reports.
#[derive(Clone, Debug)]
pub enum Signal {
    /// The worker of a slot says something about one of its jobs.
    Job {
        /// The slot.
        slot: usize,
        /// The job.
        id: JobId,
        /// What happened to it.
        event: JobEvent,
    },
    /// The worker of a slot is gone, with everything that it had not stored.
    Died {
        /// The slot.
        slot: usize,
        /// How it ended.
        death: Death,
    },
}

/// A job could not be handed to a worker.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct StartError {
    /// What went wrong, the program first.
    pub message: String,
    /// What the user can do about it.
    pub hint: Option<String>,
}

/// The device behind a slot, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceInfo {
    /// The processor or the GPU, by its maker's name.
    pub name: String,
    /// The version of libtorch; empty where there is none.
    pub libtorch: String,
    /// What decides the bits of results there; none before the first job and of a worker that cannot say it.
    pub numerics: Option<Numerics>,
    /// The threads that a program of a project's own kind is given. What the worker computes does not depend on them.
    pub threads: u16,
}

impl DeviceInfo {
    /// What decides the bits of a stage's results there; `program`: it is computed by a program of the project's own.
    pub fn numerics_of(&self, program: bool) -> Option<Numerics> {
        let numerics = self.numerics.clone();
        if program { numerics.map(|numerics| Numerics { threads: self.threads, ..numerics }) } else { numerics }
    }
}

/// Runs jobs, one at a time per slot.
pub trait Executor {
    /// The slots' names: `cpu`, `cuda:0`, …
    fn slots(&self) -> &[String];
    /// The device behind a slot, for provenance; empty before its first job.
    fn device(&self, slot: usize) -> DeviceInfo;
    /// Hands a job to a free slot.
    fn start(&mut self, slot: usize, job: Job) -> Result<(), StartError>;
    /// Asks a job to save its checkpoint and stop.
    fn cancel(&mut self, slot: usize, id: JobId);
    /// Ends the worker of a slot at once, for this reason; [`Signal::Died`] with it follows.
    fn kill(&mut self, slot: usize, death: Death);
    /// The next signal, or nothing within `timeout`.
    fn next(&mut self, timeout: Duration) -> Option<Signal>;
    /// Ends all workers, after they have written what is pending (or at once, with `kill`).
    fn shutdown(&mut self, kill: bool);
}
