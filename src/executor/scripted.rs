//! An executor for tests of the engine: no processes, no torch. Every job "makes" bytes that depend on its kind,
//! parameters, seed and inputs alone, so that reuse behaves as with real stages; a script says what goes wrong.

use super::{Death, DeviceInfo, Executor, JobEvent, JobResult, Signal, StartError};
use ddpipe_cache::Cache;
use ddpipe_interface::protocol::{Cause, Job, JobId, OutputArtifact};
use indexmap::IndexMap;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a script lets happen when a node runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// It succeeds with these scalar results.
    Succeed(Vec<(String, f64)>),
    /// It succeeds and gives these bytes, whatever it read.
    Give(Vec<u8>),
    /// It asks for what is connected to an on-demand input at these places, instead of giving anything.
    Ask(String, Vec<usize>),
    /// It fails with this cause.
    Fail(Cause),
    /// Its worker dies before its outputs are written.
    DieBeforeStored,
    /// Its worker dies while it runs.
    Die,
    /// It runs until it is cancelled.
    Hang,
    /// It runs until its worker is killed.
    Stick,
    /// It says that it gave what is not in the cache.
    Lie,
    /// Its worker says twice that it is done.
    DoneTwice,
    /// Its worker says that the outputs are stored before it is done.
    StoredFirst,
    /// It fails with these words.
    FailSaying(Cause, String),
}

/// What was run, in order, as `node@slot`; shared with the test.
pub type Journal = Arc<Mutex<Vec<String>>>;

/// Runs nothing and answers at once.
pub struct Scripted {
    cache: Cache,
    slots: Vec<String>,
    script: IndexMap<String, VecDeque<Step>>,
    signals: VecDeque<Signal>,
    hanging: Vec<(usize, JobId)>,
    journal: Journal,
}

impl Scripted {
    /// An executor that writes to this cache.
    pub fn new(cache: Cache, slots: &[&str]) -> Self {
        let slots = slots.iter().map(|slot| slot.to_string()).collect();
        let (script, signals, journal) = (IndexMap::new(), VecDeque::new(), Journal::default());
        Scripted { cache, slots, script, signals, hanging: Vec::new(), journal }
    }

    /// The next time this node runs, this happens; calls add up. Without a script a node succeeds.
    pub fn on(mut self, node: &str, step: Step) -> Self {
        self.script.entry(node.to_string()).or_default().push_back(step);
        self
    }

    /// The list of what was run, which grows as the executor works.
    pub fn journal(&self) -> Journal {
        self.journal.clone()
    }

    fn succeed(&mut self, slot: usize, job: &Job, metrics: Vec<(String, f64)>, bytes: Option<Vec<u8>>) {
        let mut outputs = IndexMap::new();
        for (name, artifact) in &job.outputs {
            let inputs: Vec<String> = job.inputs.values().flatten().map(|input| input.digest.hex()).collect();
            let made = format!("{} {name} {:?} {} {inputs:?}", job.kind, job.params, job.seed);
            let bytes = bytes.clone().unwrap_or(made.into_bytes());
            match self.cache.blobs().put_bytes(&bytes) {
                Ok((digest, bytes)) => {
                    outputs.insert(name.clone(), OutputArtifact { digest, bytes, artifact: *artifact });
                }
                Err(error) => return self.fail(slot, job.id, Cause::Store, error.to_string()),
            }
        }
        self.done(slot, job.id, outputs, IndexMap::new(), metrics.into_iter().collect());
    }

    fn done(
        &mut self,
        slot: usize,
        id: JobId,
        outputs: IndexMap<String, OutputArtifact>,
        asks: IndexMap<String, Vec<usize>>,
        metrics: IndexMap<String, f64>,
    ) {
        let result = JobResult { outputs, asks, metrics, seconds: 1.0, peak_memory: None };
        self.report(slot, id, JobEvent::Done(result));
    }

    fn fail(&mut self, slot: usize, id: JobId, cause: Cause, message: String) {
        self.report(slot, id, JobEvent::Failed { cause, message, hint: None });
    }

    fn report(&mut self, slot: usize, id: JobId, event: JobEvent) {
        self.signals.push_back(Signal::Job { slot, id, event });
    }

    fn die(&mut self, slot: usize) {
        let death = Death::gone("it was told to").with_log(vec!["last words".into()]);
        self.signals.push_back(Signal::Died { slot, death });
    }
}

impl Executor for Scripted {
    fn slots(&self) -> &[String] {
        &self.slots
    }

    fn device(&self, _slot: usize) -> DeviceInfo {
        DeviceInfo { name: "scripted".into(), ..DeviceInfo::default() }
    }

    fn start(&mut self, slot: usize, job: Job) -> Result<(), StartError> {
        if let Ok(mut journal) = self.journal.lock() {
            journal.push(format!("{}@{}", job.node, self.slots[slot]));
        }
        let step = self.script.get_mut(&job.node).and_then(VecDeque::pop_front);
        match step.unwrap_or(Step::Succeed(Vec::new())) {
            Step::Succeed(metrics) => {
                self.succeed(slot, &job, metrics, None);
                self.report(slot, job.id, JobEvent::Stored);
            }
            Step::Give(bytes) => {
                self.succeed(slot, &job, Vec::new(), Some(bytes));
                self.report(slot, job.id, JobEvent::Stored);
            }
            Step::Ask(input, positions) => {
                self.done(slot, job.id, IndexMap::new(), IndexMap::from([(input, positions)]), IndexMap::new());
                self.report(slot, job.id, JobEvent::Stored);
            }
            Step::Fail(cause) => self.fail(slot, job.id, cause, format!("{} was told to fail", job.node)),
            Step::DieBeforeStored => {
                self.succeed(slot, &job, Vec::new(), None);
                self.die(slot);
            }
            Step::Die => self.die(slot),
            Step::Lie => {
                let digest = ddpipe_cache::Digest::of(b"never written");
                let lie = |(name, artifact): (&String, &ddpipe_interface::ArtifactType)| {
                    (name.clone(), OutputArtifact { digest, bytes: 13, artifact: *artifact })
                };
                let outputs = job.outputs.iter().map(lie).collect();
                self.done(slot, job.id, outputs, IndexMap::new(), IndexMap::new());
                self.report(slot, job.id, JobEvent::Stored);
            }
            Step::DoneTwice => {
                self.succeed(slot, &job, Vec::new(), None);
                self.succeed(slot, &job, Vec::new(), None);
                self.report(slot, job.id, JobEvent::Stored);
            }
            Step::StoredFirst => {
                self.report(slot, job.id, JobEvent::Stored);
                self.succeed(slot, &job, Vec::new(), None);
            }
            Step::FailSaying(cause, words) => self.fail(slot, job.id, cause, words),
            Step::Stick => {}
            Step::Hang => self.hanging.push((slot, job.id)),
        }
        Ok(())
    }

    fn cancel(&mut self, slot: usize, id: JobId) {
        if self.hanging.contains(&(slot, id)) {
            self.hanging.retain(|job| *job != (slot, id));
            self.fail(slot, id, Cause::Interrupted, "interrupted".into());
        }
    }

    fn kill(&mut self, slot: usize, death: Death) {
        self.hanging.retain(|(other, _)| *other != slot);
        self.signals.push_back(Signal::Died { slot, death });
    }

    fn next(&mut self, timeout: Duration) -> Option<Signal> {
        if self.signals.is_empty() {
            // Somebody else is at work: another process, or the test that will interrupt.
            std::thread::sleep(timeout.min(Duration::from_millis(2)));
        }
        self.signals.pop_front()
    }

    fn shutdown(&mut self, _kill: bool) {}
}
