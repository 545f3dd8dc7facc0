//! Inputs whose bytes are in the remote alone are brought here before a job is sent, on threads of their own, while other
//! stages run: a worker reads files and sees no network.

use super::{Scheduler, State};
use crate::event::Event;
use crate::pipeline::{Endpoint, NodeId};
use ddpipe_cache::{Cache, CacheError, Digest};
use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// So many nodes have their inputs brought at the same time.
const THREADS: usize = 4;

/// An output that a node reads and that is not here.
#[derive(Clone, Debug)]
pub(super) struct Distant {
    maker: NodeId,
    digest: Digest,
    bytes: u64,
}

type Order = (NodeId, Vec<Distant>);
/// The makers of what is not to be had.
type Outcome = (NodeId, Result<Vec<NodeId>, CacheError>);

/// The inputs that are on their way here.
#[derive(Debug, Default)]
pub(super) struct Fetches {
    threads: Option<(Sender<Order>, Receiver<Outcome>)>,
    open: BTreeSet<NodeId>,
}

impl Fetches {
    /// Whether inputs of some node are on their way.
    pub fn are_open(&self) -> bool {
        !self.open.is_empty()
    }

    pub fn is_open(&self, node: NodeId) -> bool {
        self.open.contains(&node)
    }

    /// Has the inputs of a node brought.
    fn begin(&mut self, cache: &Cache, node: NodeId, distant: Vec<Distant>) {
        let (orders, _) = self.threads.get_or_insert_with(|| start(cache));
        if orders.send((node, distant)).is_ok() {
            self.open.insert(node);
        }
    }

    /// What came of one of them, within this time.
    pub fn next(&mut self, wait: Duration) -> Option<Outcome> {
        if self.open.is_empty() {
            return None;
        }
        let (_, outcomes) = self.threads.as_ref()?;
        let outcome = outcomes.recv_timeout(wait).ok()?;
        self.open.remove(&outcome.0);
        Some(outcome)
    }
}

/// The threads end when nobody gives them orders any more.
fn start(cache: &Cache) -> (Sender<Order>, Receiver<Outcome>) {
    let ((give, orders), (tell, outcomes)) = (channel::<Order>(), channel());
    let orders = Arc::new(Mutex::new(orders));
    for _ in 0..THREADS {
        let (cache, orders, tell) = (cache.clone(), orders.clone(), tell.clone());
        std::thread::spawn(move || {
            loop {
                let order = orders.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok((node, distant)) = order else { return };
                if tell.send((node, bring(&cache, distant))).is_err() {
                    return;
                }
            }
        });
    }
    (give, outcomes)
}

fn bring(cache: &Cache, distant: Vec<Distant>) -> Result<Vec<NodeId>, CacheError> {
    let mut lost = BTreeSet::new();
    for Distant { maker, digest, bytes } in distant {
        if !cache.bring(digest, bytes)? {
            lost.insert(maker);
        }
    }
    Ok(lost.into_iter().collect())
}

impl Scheduler<'_> {
    /// Whether all that a node reads is here, or on the worker that made it. What is not is sent for.
    pub(super) fn has_inputs(&mut self, node: NodeId) -> Result<bool, CacheError> {
        if !self.cache.has_remote() {
            return Ok(true);
        }
        if self.fetches.is_open(node) {
            return Ok(false);
        }
        let mut distant: Vec<Distant> = Vec::new();
        for edge in self.pipeline.node(node).inputs.values().flatten() {
            let Endpoint::Node { node: maker, output } = &edge.from else { continue };
            // The bytes of others are in memory of a worker, or were written here; what nobody asked for is not read.
            let State::Done { record, .. } = self.states.get(*maker) else { continue };
            let Some(made) = record.outputs.get(output) else { continue };
            if !self.cache.is_here(made.digest, made.bytes)? {
                distant.push(Distant { maker: *maker, digest: made.digest, bytes: made.bytes });
            }
        }
        if distant.is_empty() {
            return Ok(true);
        }
        self.fetches.begin(self.cache, node, distant);
        Ok(false)
    }

    /// The inputs of a node have come. What is not to be had is made again; this node is decided about anew then.
    pub(super) fn on_fetched(&mut self, node: NodeId, outcome: Result<Vec<NodeId>, CacheError>) {
        if !matches!(self.states.get(node), State::Ready { .. }) {
            return;
        }
        let lost = match outcome {
            Ok(lost) => lost,
            Err(error) => return self.fail_for_cache(node, &error),
        };
        for maker in lost {
            if matches!(self.states.get(maker), State::Done { .. }) {
                let (address, url) = (self.pipeline.node(maker).address(), self.cache.remote_url().unwrap_or_default());
                let text = format!("an output of {address} is not to be had from {url}; it runs again");
                self.emit(Event::Warning { text });
                self.states.set(maker, State::Pending);
                self.recall_readers(maker);
            }
        }
    }
}
