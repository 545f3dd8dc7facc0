//! The state of every node of a run. Every change passes through [`States::set`].
//!
//! ```text
//! Pending -> Ready -> Running -> Storing -> Done
//!    |         |         |          |
//!    |         +-> Done  +-> Failed +-> Failed, or Pending again when its worker died before the bytes were safe
//!    +-> Done, Skipped, Failed, NotSelected
//! ```

use super::clocks::Clocks;
use crate::event::Status;
use crate::pipeline::NodeId;
use crate::plan::Action;
use crate::reason::Reason;
use ddpipe_cache::{Claim, Record};
use ddpipe_interface::protocol::JobId;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The state of one node.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "few nodes are ready at once")]
pub(super) enum State {
    /// Not all that it reads is known.
    Pending,
    /// It has to run and waits for a slot, or for another process that computes the same action.
    Ready { action: Action, reasons: Vec<Reason> },
    /// A worker has it.
    Running(Box<Running>),
    /// Its outputs are known and can be read by the worker that made them; their bytes are being written.
    Storing { running: Box<Running>, record: Arc<Record> },
    /// Its outputs are on record.
    Done { record: Arc<Record>, made_on: Option<usize> },
    /// It has no result: it failed, was skipped or was interrupted.
    Lost(Status),
    /// A file of an optional source is not there; what gathers this works without it.
    LeftOut,
    /// Not part of this run.
    NotSelected,
}

/// A node that a worker has.
#[derive(Debug)]
pub(super) struct Running {
    pub slot: usize,
    pub job: JobId,
    pub action: Action,
    pub claim: Claim,
    pub started: Instant,
    pub started_unix: f64,
    pub clocks: Clocks,
    pub log: VecDeque<String>,
}

/// Lines of a stage's log that are kept for its outcome.
const KEPT_LINES: usize = 20;
/// Letters of each of them.
const KEPT_LETTERS: usize = 2000;

impl Running {
    pub fn new(slot: usize, job: JobId, action: Action, claim: Claim, silence: Duration) -> Self {
        let (started, started_unix) = (Instant::now(), super::unix_now());
        let (clocks, log) = (Clocks::start(silence), VecDeque::new());
        Running { slot, job, action, claim, started, started_unix, clocks, log }
    }

    /// Keeps the begin of a line for the outcome.
    pub fn keep(&mut self, line: &str) {
        let line = line.chars().take(KEPT_LETTERS).collect();
        if self.log.len() == KEPT_LINES {
            self.log.pop_front();
        }
        self.log.push_back(line);
    }
}

impl State {
    /// The record, as soon as the outputs are known.
    pub fn record(&self) -> Option<Arc<Record>> {
        match self {
            State::Done { record, .. } | State::Storing { record, .. } => Some(record.clone()),
            _ => None,
        }
    }

    pub fn is_known(&self) -> bool {
        matches!(self, State::Done { .. } | State::Storing { .. } | State::LeftOut)
    }

    pub fn is_lost(&self) -> bool {
        matches!(self, State::Lost(_))
    }

    /// The slot whose worker alone has the bytes.
    pub fn storing_on(&self) -> Option<usize> {
        match self {
            State::Storing { running, .. } => Some(running.slot),
            _ => None,
        }
    }

    fn is_settled(&self) -> bool {
        matches!(self, State::Done { .. } | State::Lost(_) | State::LeftOut | State::NotSelected)
    }
}

/// The states of all nodes.
#[derive(Debug)]
pub(super) struct States {
    states: Vec<State>,
    shown_waiting: Vec<bool>,
    again: Vec<bool>,
}

impl States {
    pub fn new(nodes: usize) -> Self {
        let states = (0..nodes).map(|_| State::Pending).collect();
        States { states, shown_waiting: vec![false; nodes], again: vec![false; nodes] }
    }

    pub fn get(&self, node: NodeId) -> &State {
        &self.states[node.index()]
    }

    /// The one way to change a state; [`States::replace`] is the same for those who need the old one.
    pub fn set(&mut self, node: NodeId, state: State) {
        let _ = self.replace(node, state);
    }

    /// Changes a state and hands out the old one.
    pub fn replace(&mut self, node: NodeId, state: State) -> State {
        tracing::debug!(node = node.0, ?state, "state");
        std::mem::replace(&mut self.states[node.index()], state)
    }

    pub fn running_mut(&mut self, node: NodeId) -> Option<&mut Running> {
        match &mut self.states[node.index()] {
            State::Running(running) | State::Storing { running, .. } => Some(running),
            _ => None,
        }
    }

    /// The node that has this job.
    pub fn of_job(&self, job: JobId) -> Option<NodeId> {
        self.find(|state| match state {
            State::Running(running) | State::Storing { running, .. } => running.job == job,
            _ => false,
        })
        .next()
    }

    pub fn any_unsettled(&self) -> bool {
        self.states.iter().any(|state| !state.is_settled())
    }

    /// Nodes that have to run and wait for a slot.
    pub fn ready(&self) -> Vec<NodeId> {
        self.find(|state| matches!(state, State::Ready { .. })).collect()
    }

    /// Nodes that a worker has or whose bytes are being written.
    pub fn busy(&self) -> Vec<NodeId> {
        self.find(|state| matches!(state, State::Running(_) | State::Storing { .. })).collect()
    }

    pub fn running(&self) -> impl Iterator<Item = (NodeId, &Running)> {
        self.states.iter().enumerate().filter_map(|(index, state)| match state {
            State::Running(running) => Some((NodeId(index as u32), &**running)),
            _ => None,
        })
    }

    /// Nodes of a slot whose bytes are being written.
    pub fn storing(&self, slot: usize) -> Vec<NodeId> {
        self.find(|state| state.storing_on() == Some(slot)).collect()
    }

    pub fn made_on(&self, node: NodeId) -> Option<usize> {
        match self.get(node) {
            State::Done { made_on, .. } => *made_on,
            State::Storing { running, .. } => Some(running.slot),
            _ => None,
        }
    }

    pub fn records(&self) -> Vec<(NodeId, Arc<Record>)> {
        let done = |(index, state): (usize, &State)| state.record().map(|record| (NodeId(index as u32), record));
        self.states.iter().enumerate().filter_map(done).collect()
    }

    /// True the first time only.
    pub fn first_wait(&mut self, node: NodeId) -> bool {
        !std::mem::replace(&mut self.shown_waiting[node.index()], true)
    }

    /// True the first time only: a node is started over at most once in a run.
    pub fn start_over(&mut self, node: NodeId) -> bool {
        let first = !std::mem::replace(&mut self.again[node.index()], true);
        if first {
            self.set(node, State::Pending);
        }
        first
    }

    pub fn was_started_over(&self, node: NodeId) -> bool {
        self.again[node.index()]
    }

    fn find(&self, test: impl Fn(&State) -> bool) -> impl Iterator<Item = NodeId> {
        let found = self.states.iter().enumerate().filter(move |(_, state)| test(state));
        found.map(|(index, _)| NodeId(index as u32))
    }
}
