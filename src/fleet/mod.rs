//! Pilots: processes that each plan and compute a run by themselves, on a cache that all of them reach. What one computes the
//! others take, by the claims of the cache; nobody hands out work. This module starts them, tells what they do, and starts
//! others in place of those that are lost. Knows no keys and no records.
//!
//! `follow.rs` watches them, behind [`Queue`]; `processes.rs` is the queue of this machine, `batch.rs` what batch systems have in
//! common, `slurm.rs` and `commands.rs` are two of them, with `script.rs`, `fill.rs` and `call.rs`. `size.rs` and `share.rs` say
//! how many pilots there are.

mod batch;
mod call;
mod commands;
mod fill;
mod follow;
#[cfg(test)]
mod presets;
mod processes;
mod script;
mod share;
pub mod size;
mod slurm;

pub use batch::{Batch, Batched};
pub use commands::Commands;
pub use follow::{Ended, Fleet};
pub use processes::{Processes, SESSION};
pub use share::share;
pub use slurm::Slurm;

use crate::exit::Fault;
use crate::machine::{Machine, PilotType, QueueKind};
use std::path::{Path, PathBuf};

/// How one pilot is to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PilotOrder {
    /// Its number in the run, from 1 on.
    pub number: usize,
    /// The run that it belongs to.
    pub run: String,
    /// The folder of that run.
    pub run_folder: PathBuf,
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
    /// It waits to be started, for this reason.
    Queued(String),
    /// It is at work.
    Running,
    /// It is over.
    Ended(How),
    /// The queue does not say.
    Unknown,
}

/// How a pilot ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// By itself; whether it did what it was for is said in its folder.
    Itself,
    /// It was lost, in these words.
    Lost(String),
    /// Somebody cancelled it, and does not want another.
    Cancelled,
}

/// What starts pilots.
pub trait Queue {
    /// What the settings call the machine.
    fn machine(&self) -> &str;
    /// Starts one.
    ///
    /// # Errors
    /// It cannot be started; the text says why.
    fn submit(&mut self, order: &PilotOrder) -> Result<PilotJob, Fault>;
    /// What became of it; `soon` where there is reason to believe that it has changed.
    fn status(&mut self, job: &PilotJob, soon: bool) -> JobState;
    /// Ends it at once.
    fn cancel(&mut self, job: &PilotJob);
}

/// The queue of a machine of these settings, for pilots of this type and run, whose logs and scripts are in this folder.
pub fn queue(
    name: &str,
    machine: &Machine,
    pilot: &PilotType,
    variables: Vec<(String, String)>,
    run: &str,
    logs: &Path,
) -> Box<dyn Queue> {
    match machine.queue {
        QueueKind::Slurm => Box::new(Batched::new(Slurm::new(machine, pilot, variables), name, run, logs)),
        QueueKind::Commands => Box::new(Batched::new(Commands::new(machine, pilot, variables, run), name, run, logs)),
    }
}

/// The name of a job, which batch systems of all kinds take: small letters, digits and hyphens.
fn job_name(run: &str, number: Option<usize>) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' };
    let run: String = run.chars().map(plain).take(50).collect();
    number.map_or(format!("ddpipe-{run}"), |number| format!("ddpipe-{run}-{number}"))
}

impl PilotOrder {
    /// The job's name.
    pub fn name(&self) -> String {
        job_name(&self.run, Some(self.number))
    }

    /// The file of its script.
    pub fn script_file(&self) -> PathBuf {
        self.log.with_extension("sh")
    }

    /// The file that its script writes when it is over.
    pub fn exit_file(&self) -> PathBuf {
        self.log.with_extension("exit")
    }

    /// The file of a template that is filled in for it.
    pub fn template_file(&self) -> PathBuf {
        self.log.with_extension("job")
    }

    /// One of which only number and run are known, as of a pilot that another command started.
    fn named(number: usize, run: &str) -> Self {
        let (run_folder, folder, log) = (PathBuf::new(), PathBuf::new(), PathBuf::new());
        PilotOrder { number, run: run.into(), run_folder, arguments: Vec::new(), folder, log }
    }

    #[cfg(test)]
    fn sample() -> Self {
        let run_folder = PathBuf::from("/lab/p/.ddpipe/runs/20261129T1200-x");
        PilotOrder {
            number: 2,
            run: "20261129T1200-x".into(),
            arguments: ["run", "--pilot", "2"].map(String::from).to_vec(),
            folder: "/lab/p".into(),
            log: run_folder.join("pilots/2.log"),
            run_folder,
        }
    }
}
