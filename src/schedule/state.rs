//! The state of every node of a run. Every change passes through [`States::set`].
//!
//! ```text
//! Pending -> Ready -> Running -> Storing -> Committing -> Done
//!    |         |         |          |            |
//!    |         |         |          |            +-> Failed, or Pending again when it asks for more
//!    |         +-> Done  +-> Failed +-> Failed, or Pending again when its worker died before the bytes were safe
//!    +-> Done, Skipped, Failed, NotSelected
//! ```

use super::clocks::Clocks;
use crate::event::Status;
use crate::pipeline::NodeId;
use crate::plan::Action;
use crate::reason::Reason;
use ddpipe_cache::{Claim, Key, Record};
use ddpipe_interface::protocol::JobId;
use std::collections::{BTreeSet, VecDeque};
use std::ops::Bound;
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
    /// The bytes of its outputs are safe, and its record is on its way to the disk.
    Committing { record: Arc<Record>, slot: usize },
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
            State::Done { record, .. } | State::Storing { record, .. } | State::Committing { record, .. } => {
                Some(record.clone())
            }
            _ => None,
        }
    }

    pub fn is_known(&self) -> bool {
        matches!(self, State::Done { .. } | State::Storing { .. } | State::Committing { .. } | State::LeftOut)
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

    fn is_busy(&self) -> bool {
        matches!(self, State::Running(_) | State::Storing { .. })
    }

    fn is_settled(&self) -> bool {
        matches!(self, State::Done { .. } | State::Lost(_) | State::LeftOut | State::NotSelected)
    }
}

/// The states of all nodes, and what is asked of them at every message: so that a message costs the same in a run of any
/// size.
#[derive(Debug)]
pub(super) struct States {
    states: Vec<State>,
    shown_waiting: Vec<bool>,
    again: Vec<bool>,
    /// How long the way is that begins at a node, as numbers that are smaller for longer ones.
    haste: Vec<u64>,
    /// Nodes that have to run and wait for a slot, the one with the longest way to go first.
    ready: BTreeSet<(u64, NodeId)>,
    /// Nodes that a worker has or whose bytes are being written.
    busy: BTreeSet<NodeId>,
    unsettled: usize,
    /// Nodes whose change matters to a decision, since that was last asked.
    news: Vec<NodeId>,
}

impl States {
    /// The states before a run; `ways` has the length of the way that begins at each node.
    pub fn new(ways: &[f64]) -> Self {
        let nodes = ways.len();
        let states: Vec<State> = (0..nodes).map(|_| State::Pending).collect();
        let haste = ways.iter().map(|way| !way.max(0.0).to_bits()).collect();
        let news = (0..nodes).map(|index| NodeId(index as u32)).collect();
        let (shown_waiting, again) = (vec![false; nodes], vec![false; nodes]);
        let (ready, busy) = (BTreeSet::new(), BTreeSet::new());
        States { states, shown_waiting, again, haste, ready, busy, unsettled: nodes, news }
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
        let entry = (self.haste[node.index()], node);
        match &state {
            State::Ready { .. } => self.ready.insert(entry),
            _ => self.ready.remove(&entry),
        };
        match state.is_busy() {
            true => self.busy.insert(node),
            false => self.busy.remove(&node),
        };
        let before = std::mem::replace(&mut self.states[node.index()], state);
        let now = &self.states[node.index()];
        self.unsettled += usize::from(before.is_settled());
        self.unsettled -= usize::from(now.is_settled());
        let is_pending = matches!(now, State::Pending);
        if is_pending || now.is_lost() || (now.is_known() || now.is_settled()) && !before.is_known() {
            self.news.push(node);
        }
        before
    }

    /// The nodes that have become known, lost or pending since this was last called.
    pub fn news(&mut self) -> Vec<NodeId> {
        std::mem::take(&mut self.news)
    }

    /// Nodes about which nothing is decided.
    pub fn pending(&self) -> impl Iterator<Item = NodeId> {
        self.find(|state| matches!(state, State::Pending))
    }

    pub fn running_mut(&mut self, node: NodeId) -> Option<&mut Running> {
        match &mut self.states[node.index()] {
            State::Running(running) | State::Storing { running, .. } => Some(running),
            _ => None,
        }
    }

    /// The node that has this job.
    pub fn of_job(&self, job: JobId) -> Option<NodeId> {
        self.find_busy(|state| match state {
            State::Running(running) | State::Storing { running, .. } => running.job == job,
            _ => false,
        })
        .next()
    }

    pub fn any_unsettled(&self) -> bool {
        self.unsettled > 0
    }

    /// Of the nodes that have to run and wait for a slot the one with the longest way to go, or the next after one of them.
    pub fn next_ready(&self, after: Option<NodeId>) -> Option<NodeId> {
        let from = after.map_or(Bound::Unbounded, |node| Bound::Excluded((self.haste[node.index()], node)));
        self.ready.range((from, Bound::Unbounded)).next().map(|(_, node)| *node)
    }

    /// All of them in the pipeline's order.
    pub fn ready_in_order(&self) -> Vec<NodeId> {
        let mut ready: Vec<NodeId> = self.ready.iter().map(|(_, node)| *node).collect();
        ready.sort();
        ready
    }

    /// Nodes that a worker has or whose bytes are being written.
    pub fn busy(&self) -> Vec<NodeId> {
        self.busy.iter().copied().collect()
    }

    /// Whether a worker has a node, or bytes to write.
    pub fn any_busy(&self) -> bool {
        !self.busy.is_empty()
    }

    pub fn running(&self) -> impl Iterator<Item = (NodeId, &Running)> {
        self.busy.iter().filter_map(|node| match self.get(*node) {
            State::Running(running) => Some((*node, &**running)),
            _ => None,
        })
    }

    /// Nodes of a slot whose bytes are being written.
    pub fn storing(&self, slot: usize) -> Vec<NodeId> {
        self.find_busy(|state| state.storing_on() == Some(slot)).collect()
    }

    pub fn made_on(&self, node: NodeId) -> Option<usize> {
        match self.get(node) {
            State::Done { made_on, .. } => *made_on,
            State::Storing { running, .. } => Some(running.slot),
            State::Committing { slot, .. } => Some(*slot),
            _ => None,
        }
    }

    /// The key of the action of a node that a worker has, or whose record is on its way.
    pub fn key(&self, node: NodeId) -> Option<Key> {
        match self.get(node) {
            State::Running(running) | State::Storing { running, .. } => Some(running.action.key),
            State::Committing { record, .. } => Some(record.key),
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

    fn find_busy(&self, test: impl Fn(&State) -> bool) -> impl Iterator<Item = NodeId> {
        self.busy.iter().copied().filter(move |node| test(self.get(*node)))
    }

    fn find(&self, test: impl Fn(&State) -> bool) -> impl Iterator<Item = NodeId> {
        let found = self.states.iter().enumerate().filter(move |(_, state)| test(state));
        found.map(|(index, _)| NodeId(index as u32))
    }
}
