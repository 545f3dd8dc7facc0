//! What has to be done before a job can start and may take long, where the cache is shared: its claim, which other machines
//! may have, and inputs whose bytes are in the remote alone. It is done on threads of their own while other stages run; a
//! worker reads files and sees no network. The slot is kept for the node meanwhile, and no longer.

use super::{Scheduler, State};
use crate::event::Event;
use crate::pipeline::{Endpoint, NodeId};
use ddpipe_cache::{Cache, CacheError, Claim, Collections, Digest, Holder, Key, Lookup, Record};
use std::collections::{BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So many nodes are prepared at the same time.
const THREADS: usize = 4;
/// How long they are waited for at the end.
const FAREWELL: Duration = Duration::from_secs(2);

/// A node that is to be prepared.
#[derive(Debug)]
pub(super) struct Order {
    pub node: NodeId,
    pub slot: usize,
    pub key: Key,
    /// Whether it runs even if it is on record.
    pub anew: bool,
    /// What it is called.
    pub address: String,
    /// What it reads and is not here.
    pub distant: Vec<Distant>,
    /// What was known of collections of garbage when it was ordered.
    pub before: Collections,
}

/// An output that a node reads and that is not here.
#[derive(Clone, Debug)]
pub(super) struct Distant {
    maker: NodeId,
    digest: Digest,
    bytes: u64,
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Prepared {
    /// It can start.
    Claimed(Claim),
    /// Another process computes it.
    Held(Holder),
    /// It is on record by now.
    OnRecord(Box<Record>),
    /// Outputs of these nodes are not to be had.
    Lost(Vec<NodeId>),
    /// The cache cannot be used.
    Failed(CacheError),
}

/// The way to the threads, and what comes from them.
type Threads = (Sender<Order>, Receiver<(Order, Prepared)>);

/// The preparations of a run.
#[derive(Debug, Default)]
pub(super) struct Preparations {
    threads: Option<Threads>,
    open: BTreeSet<NodeId>,
    /// Nodes that another process computes: when to look again, and how often that was done.
    held: HashMap<NodeId, (Instant, u32)>,
}

impl Preparations {
    /// Whether some have no outcome yet.
    pub fn are_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Whether a node is being prepared, or another process has it and it is not time to look again.
    pub fn leave_alone(&self, node: NodeId) -> bool {
        self.open.contains(&node) || self.held.get(&node).is_some_and(|(until, _)| Instant::now() < *until)
    }

    fn begin(&mut self, cache: &Cache, order: Order) {
        let (orders, _) = self.threads.get_or_insert_with(|| start(cache));
        let node = order.node;
        if orders.send(order).is_ok() {
            self.open.insert(node);
        }
    }

    /// Waits a moment for those that nobody wants any more, so that other machines need not wait for this process.
    pub fn finish(&mut self) {
        let until = Instant::now() + FAREWELL;
        while let Some((_, outcomes)) = self.threads.as_ref().filter(|_| !self.open.is_empty()) {
            match outcomes.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok((order, _)) => {
                    self.open.remove(&order.node);
                }
                Err(_) => return,
            }
        }
    }

    /// What came of one of them.
    pub fn outcome(&mut self) -> Option<(Order, Prepared)> {
        if self.open.is_empty() {
            return None;
        }
        let (_, outcomes) = self.threads.as_ref()?;
        let outcome = outcomes.try_recv().ok()?;
        self.open.remove(&outcome.0.node);
        Some(outcome)
    }
}

/// The threads end when nobody gives them orders any more.
fn start(cache: &Cache) -> Threads {
    let ((give, orders), (tell, outcomes)) = (channel::<Order>(), channel());
    let orders = Arc::new(Mutex::new(orders));
    for _ in 0..THREADS {
        let (cache, orders, tell) = (cache.clone(), orders.clone(), tell.clone());
        std::thread::spawn(move || {
            loop {
                let order = orders.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok(order) = order else { return };
                // A run would wait for the node for ever.
                let prepared = catch_unwind(AssertUnwindSafe(|| prepare(&cache, &order))).unwrap_or_else(|_| {
                    let source = std::io::Error::other("a panic; please report it");
                    Prepared::Failed(CacheError::Io {
                        doing: "prepare a stage in",
                        path: cache.root().to_path_buf(),
                        source,
                    })
                });
                if tell.send((order, prepared)).is_err() {
                    return;
                }
            }
        });
    }
    (give, outcomes)
}

fn prepare(cache: &Cache, order: &Order) -> Prepared {
    let looked = match order.anew {
        true => cache.lookup_forced(order.key, &order.address, &mut |_| false).map(Lookup::Miss),
        false => cache.lookup(order.key, &order.address, &mut |_| false),
    };
    let claim = match looked {
        Ok(Lookup::Miss(claim)) => claim,
        Ok(Lookup::Hit(record)) => return Prepared::OnRecord(record),
        Err(CacheError::Interrupted { holder }) => return Prepared::Held(holder),
        Err(error) => return Prepared::Failed(error),
    };
    let mut lost = BTreeSet::new();
    for Distant { maker, digest, bytes } in &order.distant {
        match cache.bring(*digest, *bytes) {
            Ok(true) => {}
            Ok(false) => {
                lost.insert(*maker);
            }
            Err(error) => return Prepared::Failed(error),
        }
    }
    if lost.is_empty() { Prepared::Claimed(claim) } else { Prepared::Lost(lost.into_iter().collect()) }
}

impl Scheduler<'_> {
    /// Has a ready node prepared for a slot, which is kept for it.
    pub(super) fn prepare(&mut self, node: NodeId, slot: usize, anew: bool) -> Result<(), CacheError> {
        let State::Ready { action, .. } = self.states.get(node) else { return Ok(()) };
        let (key, address) = (action.key, self.pipeline.node(node).address());
        let before = self.cache.collections()?;
        let distant = if self.cache.has_remote() { self.distant(node)? } else { Vec::new() };
        self.slots[slot] = Some(node);
        self.preparations.begin(self.cache, Order { node, slot, key, anew, address, distant, before });
        Ok(())
    }

    /// What a node reads and is not here.
    fn distant(&self, node: NodeId) -> Result<Vec<Distant>, CacheError> {
        let mut distant = Vec::new();
        for edge in self.pipeline.node(node).inputs.values().flatten() {
            let Endpoint::Node { node: maker, output } = &edge.from else { continue };
            // The bytes of others are in memory of a worker, or were written here; what nobody asked for is not read.
            let State::Done { record, .. } = self.states.get(*maker) else { continue };
            let Some(made) = record.outputs.get(output) else { continue };
            if !self.cache.is_here(made.digest, made.bytes)? {
                distant.push(Distant { maker: *maker, digest: made.digest, bytes: made.bytes });
            }
        }
        Ok(distant)
    }

    /// A node is prepared, or cannot be. Where it was decided about anew meanwhile, what was prepared is given back.
    pub(super) fn on_prepared(&mut self, order: Order, prepared: Prepared) {
        let Order { node, slot, key, anew, before, .. } = order;
        let is_kept = self.slots[slot] == Some(node);
        let is_wanted = matches!(self.states.get(node), State::Ready { action, .. } if action.key == key);
        if !is_wanted || !is_kept {
            if is_kept && self.states.running_mut(node).is_none() {
                self.slots[slot] = None;
            }
            return;
        }
        self.slots[slot] = None;
        let outcome = match prepared {
            Prepared::Claimed(claim) => {
                self.preparations.held.remove(&node);
                self.start(node, slot, claim)
            }
            Prepared::Held(holder) => {
                self.waits(node, &holder);
                Ok(())
            }
            Prepared::OnRecord(record) => match self.keeps(key, &before) {
                Ok(false) => self.prepare(node, slot, anew),
                Ok(true) if self.on_record(node, record, anew) => Ok(()),
                Ok(true) => self.prepare(node, slot, true),
                Err(error) => Err(error),
            },
            Prepared::Lost(makers) => {
                self.make_again(makers);
                Ok(())
            }
            Prepared::Failed(error) => Err(error),
        };
        if let Err(error) = outcome {
            self.fail_for_cache(node, &error);
        }
    }

    /// Another process has a node; it is looked at again after a while.
    fn waits(&mut self, node: NodeId, holder: &Holder) {
        let looks = self.preparations.held.get(&node).map_or(0, |(_, looks)| looks + 1);
        let again = Instant::now() + self.cache.pause(looks).max(Duration::from_millis(20));
        self.preparations.held.insert(node, (again, looks));
        self.say_for_whom(node, holder);
    }

    /// Outputs of these nodes are neither here nor to be had from the remote.
    fn make_again(&mut self, makers: Vec<NodeId>) {
        for maker in makers {
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
