//! Pilots: processes that each plan and compute a run by themselves, on a cache that all of them reach. What one computes the
//! others take, by the claims of the cache; nobody hands out work. This module starts them, tells what they do, and starts
//! others in place of those that are lost. Knows no keys and no records.

mod follow;
mod processes;
mod share;

pub use follow::{Ended, Fleet};
pub use processes::Processes;
pub use share::share;

use crate::exit::Fault;
use std::path::PathBuf;

/// How one pilot is to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PilotOrder {
    /// Its number in the run, from 1 on.
    pub number: usize,
    /// The arguments of the program.
    pub arguments: Vec<String>,
    /// The folder that it is called in.
    pub folder: PathBuf,
    /// The file for its last words.
    pub log: PathBuf,
}

/// A pilot that was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PilotJob {
    /// Its number.
    pub number: usize,
    /// What the queue calls it.
    pub id: String,
}

/// What a queue says of a pilot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobState {
    /// It waits to be started.
    Queued,
    /// It is at work.
    Running,
    /// It is over: by itself, or in these words.
    Ended(Option<String>),
}

/// What starts pilots.
pub trait Queue {
    /// Starts one.
    ///
    /// # Errors
    /// It cannot be started; the text says why.
    fn submit(&mut self, order: &PilotOrder) -> Result<PilotJob, Fault>;
    /// What became of it.
    fn status(&mut self, job: &PilotJob) -> JobState;
    /// Ends it at once.
    fn cancel(&mut self, job: &PilotJob);
}
