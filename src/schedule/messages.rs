//! What workers say about their jobs becomes events, records and outcomes.

use super::{Running, Scheduler, State};
use crate::event::{Event, Outcome, Status};
use crate::executor::{Death, DeviceInfo, JobEvent, JobResult};
use crate::pipeline::NodeId;
use ddpipe_cache::{CacheError, Circumstances, Committed, Output, Provenance, Record};
use ddpipe_interface::protocol::{Cause, JobId, LogLevel, OutputArtifact};
use std::sync::Arc;

impl Scheduler<'_> {
    /// Acts on what the worker of a slot says about a job.
    pub(super) fn on_job_event(&mut self, slot: usize, job: JobId, event: JobEvent) {
        // A job that is settled already: by the user's second Ctrl-C, or by its failure.
        let Some(node) = self.states.of_job(job) else { return };
        let silence = self.patience.silence;
        if let Some(running) = self.states.running_mut(node) {
            running.clocks.hear(silence);
        }
        let address = self.pipeline.node(node).address();
        match event {
            JobEvent::Progress { step, total, loss, unit } => {
                self.emit(Event::Progress { node: address, step, total, loss, unit });
            }
            JobEvent::Metric { name, step, value } => self.emit(Event::Metric { node: address, name, step, value }),
            JobEvent::Preview { step, path } => self.emit(Event::Preview { node: address, step, path }),
            JobEvent::Log { level, text } => {
                if let Some(running) = self.states.running_mut(node) {
                    running.keep(&text);
                }
                self.emit(Event::Log { node: address, level, text });
            }
            JobEvent::Done(result) => match self.states.get(node) {
                State::Running(_) => {
                    self.free_slot_of(node);
                    self.on_done(node, result);
                }
                _ => self.on_nonsense(slot, node, "said twice that it is done"),
            },
            JobEvent::Stored => match self.states.get(node) {
                State::Storing { .. } => self.on_stored(node),
                _ => self.on_nonsense(slot, node, "said that its outputs are stored before it was done"),
            },
            JobEvent::Failed { cause, message, hint } => self.on_failed(node, cause, message, hint),
        }
    }

    /// A worker that breaks the protocol about a job cannot be trusted with any other: it is ended.
    fn on_nonsense(&mut self, slot: usize, node: NodeId, what: &str) {
        let death = Death::misunderstood(format!("{} {what}", self.pipeline.node(node).address()));
        let log = self.kept_log(node);
        self.fail(node, death.cause, death.message(), death.hint.clone(), log);
        self.end_worker(slot, node, death);
    }

    /// The stage is over: its record is known, and its bytes are being written.
    fn on_done(&mut self, node: NodeId, result: JobResult) {
        let running = match self.states.replace(node, State::Pending) {
            State::Running(mut running) => {
                running.clocks.done();
                running
            }
            other => return self.states.set(node, other),
        };
        let device = self.executor.device(running.slot);
        let JobResult { outputs, asks, metrics, seconds, peak_memory } = result;
        let declaration = self.pipeline.catalog.declaration(&self.pipeline.node(node).kind);
        let numerics = device.numerics_of(declaration.is_some_and(|kind| kind.command.is_some()));
        let DeviceInfo { name: device_name, libtorch, .. } = device;
        let is_measured =
            |name: &str| declaration.is_some_and(|kind| kind.is_measured(name, &self.pipeline.node(node).params));
        let (measured, metrics) = metrics.into_iter().partition(|(name, _)| is_measured(name));
        let output = |(name, made): (String, OutputArtifact)| {
            let artifact_type = made.artifact.name().to_string();
            (name, Output { digest: made.digest, bytes: made.bytes, artifact_type })
        };
        let without = self.planner.gaps(node);
        let without = (!without.0.is_empty())
            .then(|| format!("made without {} of {} inputs, which were left out", without.0.len(), without.1));
        let continued = running.log.iter().filter(|line| line.starts_with("continues after"));
        let record = Record {
            format: ddpipe_cache::FORMAT,
            key: running.action.key,
            pipeline: self.pipeline.name.clone(),
            node: self.pipeline.node(node).address(),
            description: running.action.description.entries().to_vec(),
            outputs: outputs.into_iter().map(output).collect(),
            asks,
            metrics,
            measured,
            sources: self.sources_of(node),
            provenance: Provenance {
                started_unix: running.started_unix,
                seconds,
                peak_memory,
                circumstances: Arc::new(Circumstances {
                    device: self.executor.slots()[running.slot].clone(),
                    device_name,
                    host: ddpipe_cache::host(),
                    ddpipe: env!("CARGO_PKG_VERSION").to_string(),
                    libtorch,
                    numerics,
                    run: self.name.clone(),
                    commit: self.commit.clone(),
                    note: self.failed[node.index()].iter().chain(continued).cloned().chain(without).collect(),
                }),
            },
        };
        let wrong = match record.asks.is_empty() {
            true => self.planner.lacks(node, &record).map(|name| format!("the stage ended without its output {name}")),
            false => (!running.action.offers(&record.asks)).then(|| "the stage asked for what it has".to_string()),
        };
        if let Some(message) = wrong {
            self.states.set(node, State::Running(running));
            return self.fail(node, Some(Cause::Error), message, None, Vec::new());
        }
        self.states.set(node, State::Storing { running, record: Arc::new(record) });
    }

    /// The bytes are safe and can be read by every worker: the record is on its way.
    fn on_stored(&mut self, node: NodeId) {
        let (running, record) = match self.states.replace(node, State::Pending) {
            State::Storing { running, record } => (running, record),
            other => return self.states.set(node, other),
        };
        let Running { slot, claim, .. } = *running;
        // A garbage collection between the commit and the pin would find a record that nobody needs.
        self.observer.reaches(record.key);
        self.commits.offer(node, claim, (*record).clone());
        self.states.set(node, State::Committing { record, slot });
    }

    /// What came of the record of a node whose bytes are safe.
    pub(super) fn on_committed(&mut self, node: NodeId, outcome: Result<Committed, CacheError>) {
        let made_on = match self.states.get(node) {
            State::Committing { slot, .. } => Some(*slot),
            // Its bytes were found to be damaged meanwhile, and it runs again.
            _ => return,
        };
        let Committed { record, other_bytes } = match outcome {
            Ok(committed) => committed,
            Err(error) => return self.fail_for_cache(node, &error),
        };
        let record = Arc::new(record);
        if let Some(other) = other_bytes {
            let node = self.pipeline.node(node).address();
            self.emit(Event::Log { node, level: LogLevel::Warn, text: other.to_string() });
        }
        if !record.asks.is_empty() {
            self.states.set(node, State::Pending);
            self.planner.ask(node, &record);
            self.readmit();
            return;
        }
        self.states.set(node, State::Done { record: record.clone(), made_on });
        let metrics = record.numbers();
        let outcome = Outcome {
            status: Status::Ran,
            key: Some(record.key.hex()),
            seconds: record.provenance.seconds,
            peak_memory: record.provenance.peak_memory,
            headline: self.headline(node, &metrics),
            metrics,
            ..self.outcome(node)
        };
        self.finish(node, outcome);
    }

    /// A file from outside is not what it was taken for: what was remembered of it may be wrong, and the next run reads it.
    fn forget_sources(&self, node: NodeId) {
        let stats = self.cache.stat_cache();
        self.sources_of(node).values().for_each(|seen| stats.forget(&seen.path));
        if let Err(error) = stats.save() {
            tracing::warn!(%error, "what is remembered of source files was not saved");
        }
    }

    fn on_failed(&mut self, node: NodeId, cause: Cause, message: String, hint: Option<String>) {
        let ran_out = self.states.running_mut(node).is_some_and(|running| running.clocks.ran_out());
        let log = self.kept_log(node);
        self.free_slot_of(node);
        match cause {
            Cause::Interrupted if ran_out && self.interrupts.count() == 0 => {
                let text = format!("{}; it was asked to stop: {message}", self.took_too_long(node));
                let more = self.more_time(node);
                self.fail(node, Some(Cause::Timeout), text, Some(more), log);
            }
            Cause::Interrupted => self.interrupted(node),
            Cause::DamagedInput => match self.make_damaged_inputs_again(node) {
                Ok(true) => {}
                Ok(false) => {
                    self.forget_sources(node);
                    self.fail(node, Some(cause), message, hint, log);
                }
                Err(error) => self.fail_for_cache(node, &error),
            },
            _ => self.fail(node, Some(cause), message, hint, log),
        }
    }

    /// The last lines of a running node's log.
    pub(super) fn kept_log(&mut self, node: NodeId) -> Vec<String> {
        let log = self.states.running_mut(node).map(|running| running.log.iter().cloned().collect());
        log.unwrap_or_default()
    }
}
