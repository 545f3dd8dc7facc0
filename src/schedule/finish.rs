//! What messages from workers come to: records, outcomes, and second tries where the fault was not the node's own.

use super::{Scheduler, State};
use crate::event::{Event, Failure, Outcome, Status};
use crate::pipeline::{Endpoint, NodeId};
use ddpipe_cache::{CacheError, Output, Provenance, Record};
use ddpipe_interface::protocol::{Cause, FromWorker, OutputArtifact};
use indexmap::IndexMap;
use std::sync::Arc;

impl Scheduler<'_> {
    pub(super) fn heed(&mut self, slot: usize, message: FromWorker) -> Result<(), CacheError> {
        let job = match &message {
            FromWorker::Hello { .. } => return Ok(()),
            FromWorker::Progress { id, .. }
            | FromWorker::Metric { id, .. }
            | FromWorker::Preview { id, .. }
            | FromWorker::Log { id, .. }
            | FromWorker::Done { id, .. }
            | FromWorker::Stored { id }
            | FromWorker::Failed { id, .. } => *id,
        };
        // A job that the user's second Ctrl-C has settled already.
        let Some(node) = self.states.of_job(job) else { return Ok(()) };
        let address = self.pipeline.node(node).address();
        match message {
            FromWorker::Progress { step, total, loss, unit, .. } => {
                self.see(Event::Progress { node: address, step, total, loss, unit });
            }
            FromWorker::Metric { name, step, value, .. } => {
                self.see(Event::Metric { node: address, name, step, value });
            }
            FromWorker::Preview { step, path, .. } => self.see(Event::Preview { node: address, step, path }),
            FromWorker::Log { level, text, .. } => {
                if let Some(running) = self.states.running_mut(node) {
                    running.keep(text.clone());
                }
                self.see(Event::Log { node: address, level, text });
            }
            FromWorker::Done { outputs, asks, metrics, seconds, peak_memory, .. } => {
                self.slots[slot] = None;
                self.done(node, outputs, asks, metrics, seconds, peak_memory);
            }
            FromWorker::Stored { .. } => self.stored(node)?,
            FromWorker::Failed { cause, message, hint, .. } => {
                if self.slots[slot] == Some(node) {
                    self.slots[slot] = None;
                }
                self.failed(node, cause, message, hint)?;
            }
            FromWorker::Hello { .. } => {}
        }
        Ok(())
    }

    fn done(
        &mut self,
        node: NodeId,
        outputs: IndexMap<String, OutputArtifact>,
        asks: IndexMap<String, Vec<usize>>,
        metrics: IndexMap<String, f64>,
        seconds: f64,
        peak_memory: Option<u64>,
    ) {
        let running = match self.states.replace(node, State::Pending) {
            State::Running(running) => running,
            other => return self.states.set(node, other),
        };
        let (device_name, libtorch) = self.executor.device(running.slot);
        let output = |(name, made): (String, OutputArtifact)| {
            let artifact_type = made.artifact.name().to_string();
            (name, Output { digest: made.digest, bytes: made.bytes, artifact_type })
        };
        let record = Record {
            format: ddpipe_cache::FORMAT,
            key: running.action.key,
            pipeline: self.pipeline.name.clone(),
            node: self.pipeline.node(node).address(),
            description: running.action.description.entries().to_vec(),
            outputs: outputs.into_iter().map(output).collect(),
            asks,
            metrics,
            sources: self.sources_of(node),
            provenance: Provenance {
                started_unix: running.started_unix,
                seconds,
                device: self.executor.slots()[running.slot].clone(),
                device_name,
                peak_memory,
                host: ddpipe_cache::host(),
                ddpipe: env!("CARGO_PKG_VERSION").to_string(),
                libtorch,
                note: running.log.iter().filter(|line| line.starts_with("continues after")).cloned().collect(),
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

    fn stored(&mut self, node: NodeId) -> Result<(), CacheError> {
        let (running, record) = match self.states.replace(node, State::Pending) {
            State::Storing { running, record } => (running, record),
            other => {
                self.states.set(node, other);
                return Ok(());
            }
        };
        let made_on = Some(running.slot);
        let record = Arc::new(running.claim.commit((*record).clone())?);
        if !record.asks.is_empty() {
            self.planner.ask(node, &record);
            self.readmit();
            return Ok(());
        }
        self.states.set(node, State::Done { record: record.clone(), made_on });
        let outcome = Outcome {
            status: Status::Ran,
            key: Some(record.key.hex()),
            seconds: record.provenance.seconds,
            peak_memory: record.provenance.peak_memory,
            metrics: record.metrics.clone(),
            ..self.outcome(node)
        };
        self.finish(node, outcome);
        Ok(())
    }

    fn failed(&mut self, node: NodeId, cause: Cause, message: String, hint: Option<String>) -> Result<(), CacheError> {
        if cause == Cause::Interrupted {
            self.interrupted(node);
            return Ok(());
        }
        if cause == Cause::DamagedInput && self.make_damaged_inputs_again(node)? {
            return Ok(());
        }
        let log = self.states.running_mut(node).map(|running| running.log.iter().cloned().collect());
        self.fail(node, Some(cause), message, hint, log.unwrap_or_default());
        Ok(())
    }

    /// Sets damaged blobs aside and has the nodes that made them run again, then this one. False when nothing was
    /// found to be damaged, or when that was tried before.
    fn make_damaged_inputs_again(&mut self, node: NodeId) -> Result<bool, CacheError> {
        let mut makers = Vec::new();
        let mut mended = false;
        for edge in self.pipeline.node(node).inputs.values().flatten() {
            let Endpoint::Node { node: maker, output } = &edge.from else { continue };
            let record = match self.states.get(*maker) {
                State::Done { record, .. } => record.clone(),
                // The worker holds these bytes in memory; what nobody asked for was not read.
                State::Storing { .. } | State::Left => continue,
                // Another reader found the damage first.
                _ => {
                    mended = true;
                    continue;
                }
            };
            let Some(made) = record.outputs.get(output) else { continue };
            match self.cache.blobs().verify_once(made.digest) {
                Ok(_) => mended |= self.states.was_started_over(*maker),
                Err(CacheError::Damaged { .. } | CacheError::Missing { .. }) => makers.push(*maker),
                Err(error) => return Err(error),
            }
        }
        makers.sort();
        makers.dedup();
        if (makers.is_empty() && !mended) || !self.start_over(node) {
            return Ok(false);
        }
        for maker in makers {
            let address = self.pipeline.node(maker).address();
            self.see(Event::Warning {
                text: format!("an output of {address} was damaged in the cache; it runs again"),
            });
            if !self.start_over(maker) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Has a node decided about anew, once in a run.
    fn start_over(&mut self, node: NodeId) -> bool {
        let first = self.states.start_over(node);
        if first {
            self.recall_readers(node);
        }
        first
    }

    /// Nodes that are ready to read what this one gave have to be decided about anew: the bytes are gone.
    fn recall_readers(&mut self, node: NodeId) {
        for reader in self.graph.readers(node) {
            if matches!(self.states.get(reader), State::Ready { .. }) {
                self.states.set(reader, State::Pending);
            }
        }
    }

    pub(super) fn worker_died(&mut self, slot: usize, how: &str, log: Vec<String>) {
        let lost = self.states.storing(slot);
        if let Some(node) = self.slots[slot].take() {
            if self.interrupts.count() > 0 {
                self.interrupted(node);
            } else {
                let hint = "if the machine ran out of memory, lower --jobs or the batch; the same command continues";
                let message = format!("the worker's process is gone: {how}");
                self.fail(node, Some(Cause::WorkerDied), message, Some(hint.into()), log.clone());
            }
        }
        for node in lost {
            if !self.start_over(node) {
                let message = format!("the worker's process ended before the outputs were written: {how}");
                self.fail(node, Some(Cause::WorkerDied), message, None, log.clone());
            }
        }
    }

    pub(super) fn fresh(&mut self, node: NodeId, record: Arc<Record>) {
        let outcome = Outcome {
            status: Status::Fresh,
            key: Some(record.key.hex()),
            metrics: record.metrics.clone(),
            ..self.outcome(node)
        };
        self.states.set(node, State::Done { record, made_on: None });
        self.finish(node, outcome);
    }

    pub(super) fn missing(&mut self, node: NodeId, file: &str) {
        let message = format!("the source file {file} is not there");
        self.fail(node, None, message, None, Vec::new());
    }

    pub(super) fn skip(&mut self, node: NodeId, blame: NodeId) {
        if !self.planner.needed(node) {
            self.states.set(node, State::Left);
            return;
        }
        match self.culprit(blame) {
            Some((culprit, verb)) => {
                let message = format!("{} {verb}", self.pipeline.node(culprit).address());
                self.lose(node, Status::Skipped, None, message);
            }
            None if self.interrupts.count() > 0 => self.interrupted(node),
            None => self.skip_after_failure(node),
        }
    }

    /// The failed or interrupted node at or above a lost one: the one to name, not one that was skipped itself.
    fn culprit(&self, lost: NodeId) -> Option<(NodeId, &'static str)> {
        match self.states.get(lost) {
            State::Lost(Status::Failed) => Some((lost, "failed")),
            State::Lost(Status::Interrupted) => Some((lost, "was interrupted")),
            State::Lost(_) => self.graph.reads(lost).find_map(|read| self.culprit(read)),
            _ => None,
        }
    }

    pub(super) fn skip_after_failure(&mut self, node: NodeId) {
        let message = "another node failed; --keep-going runs what does not depend on it".to_string();
        self.lose(node, Status::Skipped, None, message);
    }

    pub(super) fn interrupted(&mut self, node: NodeId) {
        self.free_slot_of(node);
        let status = match self.states.get(node) {
            State::Running(_) => Status::Interrupted,
            _ => Status::Skipped,
        };
        let cause = (status == Status::Interrupted).then_some(Cause::Interrupted);
        self.lose(node, status, cause, "the run was interrupted; the same command continues it".into());
    }

    pub(super) fn fail(
        &mut self,
        node: NodeId,
        cause: Option<Cause>,
        message: String,
        hint: Option<String>,
        log: Vec<String>,
    ) {
        self.free_slot_of(node);
        let failure = Failure { cause, message, hint, log };
        let key = self.states.running_mut(node).map(|running| running.action.key.hex());
        let outcome = Outcome { status: Status::Failed, key, failure: Some(failure), ..self.outcome(node) };
        self.states.set(node, State::Lost(Status::Failed));
        self.recall_readers(node);
        self.finish(node, outcome);
        if !self.settings.keep_going && !self.stopping {
            self.stopping = true;
            for waiting in self.states.waiting_for_a_slot() {
                self.skip_after_failure(waiting);
            }
        }
    }

    fn lose(&mut self, node: NodeId, status: Status, cause: Option<Cause>, message: String) {
        let failure = Failure { cause, message, hint: None, log: Vec::new() };
        let outcome = Outcome { status, failure: Some(failure), ..self.outcome(node) };
        self.states.set(node, State::Lost(status));
        self.finish(node, outcome);
    }

    fn free_slot_of(&mut self, node: NodeId) {
        for slot in &mut self.slots {
            if *slot == Some(node) {
                *slot = None;
            }
        }
    }

    fn outcome(&mut self, node: NodeId) -> Outcome {
        let seconds = self.states.running_mut(node).map_or(0.0, |running| running.started.elapsed().as_secs_f64());
        Outcome {
            node: self.pipeline.node(node).address(),
            status: Status::Failed,
            key: None,
            seconds,
            peak_memory: None,
            metrics: IndexMap::new(),
            failure: None,
        }
    }

    fn finish(&mut self, node: NodeId, outcome: Outcome) {
        self.outcomes[node.index()] = Some(outcome.clone());
        self.see(Event::Finished(outcome));
    }
}
