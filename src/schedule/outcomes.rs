//! How nodes end without running to their end: on record already, failed, skipped or interrupted. Every node of a run gets
//! exactly one outcome.

use super::{Scheduler, State};
use crate::event::{Event, Failure, Headline, Outcome, Status};
use crate::pipeline::NodeId;
use ddpipe_cache::{CacheError, Provenance, Record};
use ddpipe_interface::protocol::Cause;
use indexmap::IndexMap;
use std::sync::Arc;

impl Scheduler<'_> {
    pub(super) fn fresh(&mut self, node: NodeId, record: Arc<Record>) {
        self.observer.reaches(record.key);
        let metrics = record.numbers();
        let outcome = Outcome {
            status: Status::Fresh,
            key: Some(record.key.hex()),
            headline: self.headline(node, &metrics),
            metrics,
            ..self.outcome(node)
        };
        let outcome = match self.peers.as_ref().is_some_and(|peers| peers.computed(&record)) {
            true => {
                let Provenance { seconds, peak_memory, .. } = record.provenance;
                Outcome { status: Status::Ran, seconds, peak_memory, ..outcome }
            }
            false => outcome,
        };
        self.states.set(node, State::Done { record, made_on: None });
        self.finish(node, outcome);
    }

    pub(super) fn missing(&mut self, node: NodeId, file: &str) {
        let message = format!("the source file {file} is not there");
        let missing = self.sources.missing.iter().find(|missing| missing.name() == file);
        let hint = missing.map(|missing| {
            let obtain = missing.obtain.as_ref().map_or(String::new(), |words| format!("; {words}"));
            format!("put it at {}{obtain}", missing.path.display())
        });
        self.fail(node, None, message, hint, Vec::new());
    }

    /// A node is not run, and nobody waits for it.
    pub(super) fn leave_out(&mut self, node: NodeId, file: &str) {
        let failure =
            Failure { cause: None, message: format!("left out: {file} is not there"), hint: None, log: Vec::new() };
        let outcome = Outcome { status: Status::LeftOut, failure: Some(failure), ..self.outcome(node) };
        self.states.set(node, State::LeftOut);
        self.finish(node, outcome);
    }

    pub(super) fn skip(&mut self, node: NodeId, blame: NodeId) {
        if !self.planner.needed(node) {
            self.states.set(node, State::NotSelected);
            return;
        }
        match self.culprit(blame) {
            Some((culprit, verb)) => {
                let message = format!("{} {verb}", self.pipeline.node(culprit).address());
                self.mark_lost(node, Status::Skipped, None, message);
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
        self.mark_lost(node, Status::Skipped, None, message);
    }

    pub(super) fn interrupted(&mut self, node: NodeId) {
        self.free_slot_of(node);
        let status = match self.states.get(node) {
            State::Running(_) => Status::Interrupted,
            _ => Status::Skipped,
        };
        let cause = (status == Status::Interrupted).then_some(Cause::Interrupted);
        self.mark_lost(node, status, cause, "the run was interrupted; the same command continues it".into());
    }

    /// A node cannot go on because of the cache.
    pub(super) fn fail_for_cache(&mut self, node: NodeId, error: &CacheError) {
        let (message, hint) = told_in_parts(error);
        self.fail(node, Some(Cause::Cache), message, hint, Vec::new());
    }

    /// A node has failed: it is tried again where its stage allows that, else this is its outcome.
    pub(super) fn fail(
        &mut self,
        node: NodeId,
        cause: Option<Cause>,
        message: String,
        hint: Option<String>,
        log: Vec<String>,
    ) {
        if self.try_again(node, cause, &message) {
            return;
        }
        let failure = Failure { cause, message, hint, log };
        if let Some(peers) = &self.peers {
            peers.failed(&self.pipeline.node(node).address(), &failure);
        }
        self.fail_for_good(node, failure);
    }

    /// A node has failed, and is not tried again.
    pub(super) fn fail_for_good(&mut self, node: NodeId, failure: Failure) {
        self.free_slot_of(node);
        let key = self.states.key(node).map(|key| key.hex());
        let outcome = Outcome { status: Status::Failed, key, failure: Some(failure), ..self.outcome(node) };
        let took = self.peers.as_ref().and_then(|peers| peers.took(&outcome.node));
        let outcome = Outcome { seconds: took.unwrap_or(outcome.seconds), ..outcome };
        self.states.set(node, State::Lost(Status::Failed));
        self.recall_readers(node);
        self.finish(node, outcome);
        self.stop_after_failure();
    }

    /// Starts nothing more, unless the run is to go on; what runs goes on to its end.
    pub(super) fn stop_after_failure(&mut self) {
        if !self.keep_going && !self.stopping {
            self.stopping = true;
            for waiting in self.states.ready_in_order() {
                self.skip_after_failure(waiting);
            }
        }
    }

    fn mark_lost(&mut self, node: NodeId, status: Status, cause: Option<Cause>, message: String) {
        let failure = Failure { cause, message, hint: None, log: Vec::new() };
        let outcome = Outcome { status, failure: Some(failure), ..self.outcome(node) };
        self.states.set(node, State::Lost(status));
        self.finish(node, outcome);
    }

    pub(super) fn free_slot_of(&mut self, node: NodeId) {
        for slot in &mut self.slots {
            if *slot == Some(node) {
                *slot = None;
            }
        }
    }

    pub(super) fn outcome(&mut self, node: NodeId) -> Outcome {
        let seconds = self.states.running_mut(node).map_or(0.0, |running| running.started.elapsed().as_secs_f64());
        Outcome { status: Status::Failed, seconds, ..Outcome::of(self.pipeline.node(node).address()) }
    }

    /// What of the numbers of a record is worth a look at once.
    pub(super) fn headline(&self, node: NodeId, numbers: &IndexMap<String, f64>) -> Vec<Headline> {
        let node = self.pipeline.node(node);
        let Some(kind) = self.pipeline.catalog.declaration(&node.kind) else { return Vec::new() };
        let shown = kind.headline(numbers, &node.params);
        shown.map(|(name, value, unit)| Headline { name: name.into(), value, unit: unit.map(str::to_string) }).collect()
    }

    pub(super) fn finish(&mut self, node: NodeId, outcome: Outcome) {
        self.outcomes[node.index()] = Some(outcome.clone());
        let Some(peers) = &self.peers else { return self.emit(Event::Finished(outcome)) };
        peers.end(&outcome.node);
        let is_computed = matches!(outcome.status, Status::Ran | Status::Failed);
        if !is_computed || peers.is_news(&outcome.node, outcome.seconds) {
            self.emit(Event::Finished(outcome));
        }
    }
}

/// What happened, and the way out that the cache's errors have on lines of their own.
fn told_in_parts(error: &CacheError) -> (String, Option<String>) {
    let text = error.to_string();
    match text.split_once('\n') {
        Some((message, way_out)) => (message.to_string(), Some(way_out.trim().to_string())),
        None => (text, Some("once the cache can be used again, the same command continues".into())),
    }
}
