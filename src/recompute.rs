//! Runs recorded nodes again and compares what comes out with their records. The results go to a cache of their own, which
//! is removed afterwards; the cache that holds the records is only read.

use crate::event::Failure;
use crate::executor::{Executor, JobEvent, JobResult, Signal};
use crate::pipeline::{NodeId, Pipeline};
use crate::plan::Action;
use crate::program::Program;
use crate::schedule::{Interrupts, Jobs};
use crate::sources::Sources;
use ddpipe_cache::{Cache, CacheError, Digest, Record};
use ddpipe_interface::protocol::{Cause, InputArtifact, JobId};
use indexmap::IndexMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

/// How a node's new result stands to its record.
#[derive(Clone, Debug)]
pub enum Comparison {
    /// The same bytes.
    Equal,
    /// Other bytes under the same numerics: something that decides the result is in neither.
    Different {
        /// The outputs that differ.
        outputs: Vec<String>,
    },
    /// Other bytes under other numerics, or the record does not say its numerics.
    Incomparable {
        /// The outputs that differ.
        outputs: Vec<String>,
        /// The numerics of the record, in words.
        recorded: String,
        /// The numerics now, in words.
        now: String,
        /// The largest difference of a metric, relative to its value on record, and the metric's name.
        largest: Option<(String, f64)>,
    },
    /// The node did not run to its end this time.
    Failed(Box<Failure>),
}

/// One recorded node, ready to run again.
pub struct Recorded<'a> {
    /// The node.
    pub node: NodeId,
    /// Its action.
    pub action: Action,
    /// The program of its kind, where it has one.
    pub program: Option<&'a Program>,
    /// Its record.
    pub record: &'a Record,
}

/// Runs nodes again.
pub struct Recompute<'a> {
    /// The pipeline.
    pub pipeline: &'a Pipeline,
    /// The cache that holds the records.
    pub cache: &'a Cache,
    /// The files from outside.
    pub sources: &'a Sources,
    /// The cache for the new results.
    pub beside: &'a Cache,
    /// Runs the jobs, with `beside` as the cache.
    pub executor: &'a mut dyn Executor,
    /// How often the user asked to stop.
    pub interrupts: Interrupts,
}

/// How long to wait for a signal before interrupts are looked at.
const LOOK: Duration = Duration::from_millis(50);

impl Recompute<'_> {
    /// Runs a node again on the first slot and compares.
    ///
    /// # Errors
    /// The cache beside cannot be written.
    pub fn compare(&mut self, number: u64, recorded: &Recorded<'_>) -> Result<Comparison, CacheError> {
        let jobs = Jobs { pipeline: self.pipeline, cache: self.cache, sources: self.sources };
        let scratch = self.beside.scratch(recorded.action.key)?;
        let id = JobId(number);
        let job = jobs.job(id, recorded.node, &recorded.action, recorded.program, scratch);
        for input in job.inputs.values().flatten().filter(|input| !input.source) {
            self.lend(input)?;
        }
        if let Err(error) = self.executor.start(0, job) {
            let failure = Failure { cause: None, message: error.message, hint: error.hint, log: Vec::new() };
            return Ok(Comparison::Failed(Box::new(failure)));
        }
        Ok(match self.result(id) {
            Ok(result) => self.judge(recorded, &result),
            Err(failure) => Comparison::Failed(Box::new(failure)),
        })
    }

    /// Makes a blob readable in the cache beside, by a link.
    fn lend(&self, input: &InputArtifact) -> Result<(), CacheError> {
        let here = self.beside.blobs().path(input.digest);
        if self.beside.blobs().contains(input.digest)?.is_some() {
            return Ok(());
        }
        let folder = here.parent().unwrap_or(&here);
        let link = fs::create_dir_all(folder).and_then(|()| symlink(self.cache.blobs().path(input.digest), &here));
        link.map_err(|source| CacheError::Io { doing: "write", path: here, source })
    }

    /// Waits for the job's result, and for its outputs to be stored.
    fn result(&mut self, id: JobId) -> Result<JobResult, Failure> {
        let mut done = None;
        let mut log = Vec::new();
        let mut cancelled = false;
        loop {
            if self.interrupts.count() > 0 && !cancelled {
                cancelled = true;
                self.executor.cancel(0, id);
            }
            let failure = |cause, message, hint, log| Failure { cause: Some(cause), message, hint, log };
            match self.executor.next(LOOK) {
                Some(Signal::Job { id: of, event, .. }) if of == id => match event {
                    JobEvent::Done(result) => done = Some(result),
                    JobEvent::Stored => {
                        if let Some(result) = done.take() {
                            return Ok(result);
                        }
                    }
                    JobEvent::Log { text, .. } => log.push(text),
                    JobEvent::Failed { cause, message, hint } => return Err(failure(cause, message, hint, log)),
                    JobEvent::Progress { .. } | JobEvent::Metric { .. } | JobEvent::Preview { .. } => {}
                },
                Some(Signal::Died { death, .. }) => {
                    let cause = death.cause.unwrap_or(Cause::WorkerDied);
                    return Err(failure(cause, death.how, death.hint, death.log));
                }
                _ => {}
            }
        }
    }

    fn judge(&self, recorded: &Recorded<'_>, result: &JobResult) -> Comparison {
        let (record, program) = (recorded.record, recorded.program.is_some());
        let made: IndexMap<&String, Digest> = result.outputs.iter().map(|(name, made)| (name, made.digest)).collect();
        let unlike = record.outputs.iter().filter(|(name, output)| made.get(*name) != Some(&output.digest));
        let outputs: Vec<String> = unlike.map(|(name, _)| name.clone()).collect();
        if outputs.is_empty() {
            return Comparison::Equal;
        }
        let (recorded, now) = (&record.provenance.numerics, self.executor.device(0).numerics_of(program));
        if let (Some(recorded), Some(now)) = (recorded, &now)
            && recorded.agrees_with(now)
        {
            return Comparison::Different { outputs };
        }
        let words = |numerics: Option<String>| numerics.unwrap_or_else(|| "unknown numerics".into());
        Comparison::Incomparable {
            outputs,
            recorded: words(recorded.as_ref().map(ToString::to_string)),
            now: words(now.as_ref().map(ToString::to_string)),
            largest: largest_difference(&record.metrics, &result.metrics),
        }
    }
}

/// The metric whose values differ most, relative to the first of the two.
fn largest_difference(recorded: &IndexMap<String, f64>, now: &IndexMap<String, f64>) -> Option<(String, f64)> {
    let relative = |(name, value): (&String, &f64)| {
        let difference = (now.get(name)? - value).abs() / value.abs().max(f64::MIN_POSITIVE);
        difference.is_finite().then(|| (name.clone(), difference))
    };
    recorded.iter().filter_map(relative).max_by(|(_, one), (_, other)| one.total_cmp(other))
}
