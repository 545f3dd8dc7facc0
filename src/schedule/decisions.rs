//! What is to be done about nodes, as soon as that is known. A node is looked at when something has changed that it waits
//! for, and not at every message.

use super::{Scheduler, State};
use crate::pipeline::NodeId;
use crate::plan::{Plan, Verdict};
use ddpipe_cache::{CacheError, Holder, Lookup, Record};
use std::collections::BTreeSet;
use std::sync::Arc;

/// How often a claim is looked at that somebody has for longer than a garbage collection would: for about a second.
const PATIENCE: usize = 10;

/// Which nodes have to be decided about.
#[derive(Debug)]
pub(super) struct Decisions {
    due: BTreeSet<NodeId>,
    /// Per node, one of those that it reads and that keeps it from being decided about.
    waits_for: Vec<Option<NodeId>>,
    /// How often nodes had asked for more when all were looked at last.
    asks: usize,
    /// Whether all were looked at since the run is stopping.
    stopping: bool,
}

impl Decisions {
    /// Those of a run that begins.
    pub fn new(nodes: usize) -> Self {
        Decisions { due: BTreeSet::new(), waits_for: vec![None; nodes], asks: 0, stopping: false }
    }
}

impl Scheduler<'_> {
    /// Takes over what a plan says of nodes that are on record, so that their records are not looked for twice. Only where
    /// the records of the plan are pinned, and nothing was removed from the cache before they were.
    pub fn start_from(&mut self, plan: Plan) {
        for (index, verdict) in plan.verdicts.into_iter().enumerate() {
            let id = NodeId(index as u32);
            match verdict {
                Verdict::Fresh(record) => self.fresh(id, record),
                Verdict::NotSelected if !self.planner.needed(id) => self.states.set(id, State::NotSelected),
                _ => {}
            }
        }
    }

    /// Settles or readies every node whose inputs are known by now. True when a record asked for nodes that this has
    /// passed by already.
    pub(super) fn decide(&mut self) -> bool {
        if self.stopping && !self.decisions.stopping {
            self.decisions.stopping = true;
            self.decisions.due.extend(self.states.pending());
        }
        self.take_news();
        while let Some(id) = self.decisions.due.pop_first() {
            if matches!(self.states.get(id), State::Pending) {
                self.decide_about(id);
                self.take_news();
            }
        }
        self.readmit()
    }

    /// Notes which nodes have to be decided about because of what changed.
    fn take_news(&mut self) {
        for changed in self.states.news() {
            let state = self.states.get(changed);
            if matches!(state, State::Pending) {
                self.decisions.waits_for[changed.index()] = None;
                self.decisions.due.insert(changed);
                continue;
            }
            let is_lost = state.is_lost();
            for reader in self.graph.readers(changed) {
                // One that waits for another node still does; a lost node may decide about it at once.
                let other = self.decisions.waits_for[reader.index()].filter(|other| *other != changed);
                let waits = other.is_some_and(|other| !self.is_settled(other));
                if matches!(self.states.get(reader), State::Pending) && (is_lost || !waits) {
                    self.decisions.due.insert(reader);
                }
            }
        }
    }

    /// Whether a node that is read keeps nobody waiting.
    fn is_settled(&self, read: NodeId) -> bool {
        let state = self.states.get(read);
        state.is_known() || state.is_lost() || !self.planner.needed(read)
    }

    fn decide_about(&mut self, id: NodeId) {
        if self.planner.needed(id)
            && let Some(file) = self.planner.without(id)
        {
            return self.leave_out(id, &file);
        }
        if let Some(blame) = self.blame(id) {
            return self.skip(id, blame);
        }
        if self.stopping && self.planner.needed(id) {
            return match self.cancelled {
                true => self.interrupted(id),
                false => self.skip_after_failure(id),
            };
        }
        if self.planner.needed(id) {
            let waits_for = self.planner.reads(id).find(|read| !self.is_settled(*read));
            self.decisions.waits_for[id.index()] = waits_for;
            if waits_for.is_some() {
                return;
            }
        }
        let states = &self.states;
        let known = |read: NodeId| states.get(read).record();
        match self.planner.verdict(id, &known) {
            Verdict::NotSelected => self.states.set(id, State::NotSelected),
            Verdict::Fresh(record) => self.count_on(id, record),
            Verdict::Run { action, reasons } => self.states.set(id, State::Ready { action, reasons }),
            Verdict::Missing { file } => self.missing(id, &file),
            Verdict::LeftOut { file } => self.leave_out(id, &file),
            Verdict::Unreadable { error } => self.fail_for_cache(id, &error),
            Verdict::Waiting { .. } => {}
        }
    }

    /// A node is on record, if no garbage collection removed the record before it could see that this run counts on it.
    fn count_on(&mut self, id: NodeId, record: Arc<Record>) {
        match self.is_kept(id, &record) {
            Ok(true) => self.fresh(id, record),
            Ok(false) => {
                self.decisions.due.insert(id);
            }
            Err(error) => self.fail_for_cache(id, &error),
        }
    }

    fn is_kept(&mut self, id: NodeId, record: &Record) -> Result<bool, CacheError> {
        self.observer.reaches(record.key);
        let now = self.cache.collections()?;
        let quiet = self.collections.as_ref().is_some_and(|before| now.none_since(before));
        self.collections = Some(now);
        if quiet {
            return Ok(true);
        }
        let (address, mut looks) = (self.pipeline.node(id).address(), 0);
        // A collection has a claim for a moment. Who has it for longer computes the node again, and removes nothing.
        let mut patience = |_: &Holder| {
            looks += 1;
            looks < PATIENCE
        };
        match self.cache.lookup(record.key, &address, &mut patience) {
            Ok(Lookup::Miss(_)) => Ok(false),
            Ok(Lookup::Hit(_)) | Err(CacheError::Interrupted { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// A node without a result that keeps this one from running. Those that it can do without are noted instead, unless
    /// nothing is left.
    fn blame(&mut self, id: NodeId) -> Option<NodeId> {
        let is_lost = |read: &NodeId| self.states.get(*read).is_lost();
        let lost: Vec<NodeId> = self.planner.reads(id).filter(is_lost).collect();
        if lost.is_empty() {
            return None;
        }
        let none_left = self.planner.reads(id).all(|read| is_lost(&read));
        let needs = |read: &&NodeId| none_left || !self.planner.can_do_without(id, **read);
        if let Some(blame) = lost.iter().find(needs) {
            return Some(*blame);
        }
        lost.into_iter().for_each(|read| self.planner.lose(read));
        None
    }

    /// Nodes that were left out and have been asked for since become part of the run; then what anybody reads may have
    /// changed.
    pub(super) fn readmit(&mut self) -> bool {
        if self.planner.asks() == self.decisions.asks {
            return false;
        }
        self.decisions.asks = self.planner.asks();
        self.decisions.due.extend(self.states.pending());
        let left = |id: &NodeId| matches!(self.states.get(*id), State::NotSelected) && self.planner.needed(*id);
        let back: Vec<NodeId> = self.graph.order().filter(left).collect();
        back.iter().for_each(|id| self.states.set(*id, State::Pending));
        true
    }
}
