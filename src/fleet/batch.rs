//! What batch systems have in common: a pilot's script in the run's folder, a submission, and a look at all jobs at once that is
//! not repeated too often. What none of them knows: whether a pilot computes anything.

use super::{How, JobState, PilotJob, PilotOrder, Queue};
use crate::exit::{Exit, Fault};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Between two looks at a batch system, which many people ask.
const LOOK: Duration = Duration::from_secs(30);
/// The same when there is reason to believe that something has changed.
const SOON: Duration = Duration::from_secs(2);

/// That a batch system does not answer so often in turn is told.
const SILENT: u32 = 2;

/// After a script is over, its batch system may take so long to say so.
const LATE: Duration = Duration::from_secs(10);

/// The calls of one batch system.
pub trait Batch {
    /// The script of a pilot.
    ///
    /// # Errors
    /// The settings do not make one.
    fn script(&self, order: &PilotOrder) -> Result<String, String>;
    /// Submits a pilot and gives its id.
    ///
    /// # Errors
    /// What the batch system said.
    fn submit(&mut self, order: &PilotOrder) -> Result<String, String>;
    /// The states of these jobs, given with their names.
    ///
    /// # Errors
    /// It does not answer.
    fn look(&mut self, jobs: &[(PilotJob, String)]) -> Result<HashMap<String, JobState>, String>;
    /// Ends a job.
    ///
    /// # Errors
    /// It cannot be asked to.
    fn cancel(&mut self, job: &PilotJob) -> Result<(), String>;
}

/// A line of a batch system's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The job's name.
    pub name: String,
    /// Its state.
    pub state: JobState,
}

/// A batch system as a queue of pilots.
pub struct Batched<B> {
    batch: B,
    machine: String,
    /// The start of the names of jobs.
    prefix: String,
    /// The folder of scripts and logs.
    logs: PathBuf,
    /// When it was seen of a job that its script is over.
    said: HashMap<String, Instant>,
    jobs: Vec<PilotJob>,
    states: HashMap<String, JobState>,
    looked: Option<Instant>,
    /// How often in turn it was asked and did not say.
    unanswered: u32,
    pause: Duration,
}

impl<B: Batch> Batched<B> {
    /// The queue of a machine of this name for the pilots of one run, with the folder of their logs.
    pub fn new(batch: B, machine: &str, run: &str, logs: &Path) -> Self {
        let pause = std::env::var("DDPIPE_QUEUE_SECONDS").ok().and_then(|text| text.parse().ok());
        let pause = pause.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or(LOOK);
        let prefix = super::job_name(run, None);
        Batched {
            batch,
            machine: machine.into(),
            prefix,
            logs: logs.to_path_buf(),
            said: HashMap::new(),
            jobs: Vec::new(),
            states: HashMap::new(),
            looked: None,
            unanswered: 0,
            pause,
        }
    }

    fn name(&self, job: &PilotJob) -> String {
        format!("{}-{}", self.prefix, job.number)
    }

    /// Whether a pilot's script has said that it is over, which batch systems may say late or never.
    fn has_said(&self, job: &PilotJob) -> bool {
        self.logs.join(format!("{}.exit", job.number)).exists()
    }

    fn know(&mut self, job: &PilotJob) {
        if !self.jobs.contains(job) {
            self.jobs.push(job.clone());
            self.looked = None;
        }
    }
}

impl<B: Batch> Queue for Batched<B> {
    fn machine(&self) -> &str {
        &self.machine
    }

    fn submit(&mut self, order: &PilotOrder) -> Result<PilotJob, Fault> {
        let failed = |error: String| {
            let message = format!("pilot {} could not be submitted to {}: {error}", order.number, self.machine);
            Fault { exit: Exit::Usage, message }
        };
        let path = order.script_file();
        let text = self.batch.script(order).map_err(failed)?;
        fs::write(&path, text).map_err(|error| Fault::io("write", &path, &error))?;
        let id = self.batch.submit(order).map_err(failed)?;
        let job = PilotJob { number: order.number, id };
        self.states.insert(job.id.clone(), JobState::Queued(String::new()));
        self.jobs.push(job.clone());
        Ok(job)
    }

    fn status(&mut self, job: &PilotJob, soon: bool) -> JobState {
        self.know(job);
        let has_said = self.has_said(job);
        let soon = soon || has_said;
        let pause = if soon { self.pause.min(SOON) } else { self.pause };
        if self.looked.is_none_or(|looked| looked.elapsed() >= pause) {
            let is_over = |job: &PilotJob| matches!(self.states.get(&job.id), Some(JobState::Ended(_)));
            let jobs: Vec<_> = self.jobs.iter().filter(|job| !is_over(job)).collect();
            let jobs: Vec<_> = jobs.into_iter().map(|job| (job.clone(), self.name(job))).collect();
            match self.batch.look(&jobs) {
                Ok(states) => {
                    self.states.extend(states);
                    self.unanswered = 0;
                }
                Err(error) => {
                    self.unanswered += 1;
                    let text = format!("{} does not say what its jobs do: {error}", self.machine);
                    if self.unanswered == SILENT {
                        tracing::warn!("{text}; it is asked again, and the pilots' own words count");
                    } else {
                        tracing::info!("{text}");
                    }
                }
            }
            // From its end on: a program that hangs has taken long.
            self.looked = Some(Instant::now());
        }
        let state = self.states.get(&job.id).cloned().unwrap_or(JobState::Unknown);
        // One that waits again is begun anew.
        if !has_said || matches!(state, JobState::Ended(_) | JobState::Queued(_)) {
            self.said.remove(&job.id);
            return state;
        }
        // How it ended the batch system knows best, if it says so soon.
        let since = *self.said.entry(job.id.clone()).or_insert_with(Instant::now);
        if since.elapsed() < LATE { state } else { JobState::Ended(How::Itself) }
    }

    fn cancel(&mut self, job: &PilotJob) {
        if let Err(error) = self.batch.cancel(job) {
            tracing::warn!(%error, "pilot {} was not cancelled", job.number);
        }
        self.looked = None;
    }
}
