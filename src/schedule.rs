//! Carries a plan out: decides about nodes as soon as what they read is known, claims their keys, hands them to free
//! slots, and turns what comes back into records and outcomes. Threads and channels suffice, since stages run for
//! seconds to hours. Knows no worker and no terminal: executors and observers stand behind traits.

mod attempts;
mod clocks;
mod commits;
mod decisions;
mod idle;
mod jobs;
mod losses;
mod messages;
mod outcomes;
mod patience;
mod prepare;
mod sharing;
mod state;

pub use patience::Patience;
pub use sharing::Sharing;

use crate::event::{Event, Observer, Outcome, Status};
use crate::executor::{Executor, Signal};
use crate::graph::Graph;
use crate::peers::{Left, Peers};
use crate::pipeline::{NodeId, Pipeline};
use crate::plan::Planner;
use crate::reason::Reason;
use crate::sources::Sources;
use commits::Commits;
use ddpipe_cache::{Cache, CacheError, Claim, Collections, Commit, Holder, Key, Lookup, Record};
use ddpipe_interface::protocol::JobId;
use decisions::Decisions;
use idle::Idle;
pub use jobs::Jobs;
use prepare::Preparations;
use state::{Running, State, States};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How often the user asked to stop: once means "save and stop", twice "at once".
#[derive(Clone, Debug, Default)]
pub struct Interrupts(Arc<AtomicUsize>);

impl Interrupts {
    /// The counter to raise, from a signal handler too.
    pub fn raise(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    /// How often the user has asked so far.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// All that a run works with.
pub struct Run<'a> {
    /// The pipeline.
    pub pipeline: &'a Pipeline,
    /// Its graph.
    pub graph: &'a Graph,
    /// Decides about nodes.
    pub planner: &'a mut Planner<'a>,
    /// Where records and outputs go.
    pub cache: &'a Cache,
    /// The files from outside, as they were digested before the run.
    pub sources: &'a Sources,
    /// Runs the jobs.
    pub executor: &'a mut dyn Executor,
    /// Is told every event.
    pub observer: &'a mut dyn Observer,
    /// How often the user asked to stop.
    pub interrupts: Interrupts,
    /// Whether to finish what does not depend on a failed node.
    pub keep_going: bool,
    /// The run's name, for provenance; none where it leaves no folder.
    pub name: Option<String>,
    /// The state of the project's git repository, for provenance.
    pub commit: Option<Commit>,
    /// How long to wait for stages.
    pub patience: Patience,
    /// Which nodes may run beside others on one device.
    pub sharing: Sharing,
    /// What the processes of this run tell each other; none where there is no folder for that.
    pub peers: Option<Peers>,
}

/// One run of a pipeline, from the first decision to the last record.
pub struct Scheduler<'a> {
    pipeline: &'a Pipeline,
    graph: &'a Graph,
    planner: &'a mut Planner<'a>,
    cache: &'a Cache,
    sources: &'a Sources,
    executor: &'a mut dyn Executor,
    observer: &'a mut dyn Observer,
    interrupts: Interrupts,
    keep_going: bool,
    name: Option<String>,
    commit: Option<Commit>,
    patience: Patience,
    sharing: Sharing,
    peers: Option<Peers>,
    /// When the clocks were last looked at.
    looked: Instant,
    /// Since when there is nothing to do here.
    idle: Idle,
    /// Per node, its attempts that failed and were followed by another, in words.
    failed: Vec<Vec<String>>,
    states: States,
    decisions: Decisions,
    /// What was known of garbage collections when a node on record was decided about last.
    collections: Option<Collections>,
    commits: Commits,
    preparations: Preparations,
    slots: Vec<Option<NodeId>>,
    jobs: u64,
    cancelled: bool,
    stopping: bool,
    outcomes: Vec<Option<Outcome>>,
}

/// What a run came to.
#[derive(Debug)]
pub struct Summary {
    /// One outcome per node that belongs to the run, in the pipeline's order.
    pub outcomes: Vec<Outcome>,
    /// The records of all nodes that are done, by node.
    pub records: Vec<(NodeId, Arc<Record>)>,
    /// Whether the user interrupted it.
    pub interrupted: bool,
}

impl Summary {
    /// How many nodes ended like this.
    pub fn count(&self, status: Status) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.status == status).count()
    }
}

/// How long words of workers are waited for while records are on their way to the disk.
const MOMENT: Duration = Duration::from_millis(1);
/// How long they are waited for while nodes are being prepared.
const SOON: Duration = Duration::from_millis(5);
/// While nothing happens, how long until interrupts and other processes' claims are looked at again.
const LOOK: Duration = Duration::from_millis(50);

impl<'a> Scheduler<'a> {
    /// Prepares a run. `seconds` guesses how long a node takes, from earlier records.
    pub fn new(run: Run<'a>, seconds: impl Fn(NodeId) -> f64) -> Self {
        let Run {
            pipeline,
            graph,
            planner,
            cache,
            sources,
            executor,
            observer,
            interrupts,
            keep_going,
            name,
            commit,
            patience,
            sharing,
            peers,
        } = run;
        let nodes = pipeline.nodes.len();
        Scheduler {
            slots: vec![None; executor.slots().len()],
            states: States::new(&graph.longest_path(seconds)),
            decisions: Decisions::new(nodes),
            collections: cache.collections().ok(),
            commits: Commits::begin(),
            preparations: Preparations::default(),
            outcomes: vec![None; nodes],
            jobs: 0,
            cancelled: false,
            stopping: false,
            pipeline,
            graph,
            planner,
            cache,
            sources,
            executor,
            observer,
            interrupts,
            keep_going,
            name,
            commit,
            patience,
            sharing,
            peers,
            looked: Instant::now(),
            idle: Idle::default(),
            failed: vec![Vec::new(); nodes],
        }
    }

    /// Runs to the end. Whatever goes wrong, in a stage, its worker or the cache, is the outcome of a node.
    pub fn run(mut self) -> Summary {
        loop {
            self.check_interrupts();
            while self.decide() {}
            self.dispatch();
            if !self.states.any_unsettled() {
                break;
            }
            if let Some(signal) = self.listen() {
                self.on_signal(signal);
            }
            while let Some((node, outcome)) = self.commits.next(Duration::ZERO) {
                self.on_committed(node, outcome);
            }
            while let Some((order, prepared)) = self.preparations.outcome() {
                self.on_prepared(order, prepared);
            }
            self.watch_clocks();
            self.leave_if_idle();
        }
        let kill = self.interrupts.count() > 1;
        self.preparations.finish();
        self.executor.shutdown(kill);
        let records = self.states.records();
        let interrupted = self.interrupts.count() > 0;
        Summary { outcomes: self.outcomes.into_iter().flatten().collect(), records, interrupted }
    }

    /// Waits for the next word of a worker, or for records on their way to the disk.
    fn listen(&mut self) -> Option<Signal> {
        if !self.commits.are_open() {
            return self.executor.next(if self.preparations.are_open() { SOON } else { LOOK });
        }
        // Workers that have nothing to do say nothing.
        if !self.states.any_busy()
            && let Some((node, outcome)) = self.commits.next(LOOK)
        {
            self.on_committed(node, outcome);
            return None;
        }
        self.executor.next(MOMENT)
    }

    fn check_interrupts(&mut self) {
        if self.interrupts.count() == 0 && self.peers.as_ref().is_some_and(Peers::is_stopped) {
            self.interrupts.raise();
        }
        if self.peers.as_ref().is_some_and(Peers::has_failures) {
            self.stop_after_failure();
        }
        let asked = self.interrupts.count();
        if asked == 0 {
            return;
        }
        if !self.cancelled {
            self.cancelled = true;
            self.stopping = true;
            for (node, running) in self.states.running() {
                tracing::info!(node = %self.pipeline.node(node).address(), "asked to stop");
                self.executor.cancel(running.slot, running.job);
            }
        }
        if asked > 1 {
            self.executor.shutdown(true);
            for node in self.states.busy() {
                self.interrupted(node);
            }
        }
        for node in self.states.ready_in_order() {
            self.interrupted(node);
        }
    }

    /// Gives free slots to ready nodes, the one with the longest way to go first.
    fn dispatch(&mut self) {
        let free = |slots: &[Option<NodeId>]| slots.iter().any(Option::is_none);
        let mut next = self.states.next_ready(None);
        while let Some(node) = next {
            // A node that could not be started may have ended the run.
            if self.stopping || !free(&self.slots) {
                return;
            }
            // It may stay ready: another process has its claim, or its inputs are on a slot that is at work.
            if let Some(slot) = self.slot_for(node) {
                if !self.sharing.admits(node, slot, self.executor.slots(), &self.slots) {
                    // It waits for a device of its own, and what comes after it would keep the devices busy.
                    return;
                }
                if let Err(error) = self.claim(node, slot) {
                    self.fail_for_cache(node, &error);
                }
            }
            next = self.states.next_ready(Some(node));
        }
    }

    /// A free slot that can reach all of the node's inputs: bytes that are still being written are reached only by the
    /// worker that made them. A slot that holds inputs in memory comes first, of those whose device the node may share.
    fn slot_for(&self, node: NodeId) -> Option<usize> {
        let mut holder = None;
        for read in self.graph.reads(node) {
            match (self.states.get(read).storing_on(), holder) {
                (Some(slot), None) => holder = Some(slot),
                (Some(slot), Some(other)) if slot != other => return None,
                _ => {}
            }
        }
        match holder {
            Some(slot) => self.slots[slot].is_none().then_some(slot),
            None => {
                let made = self.graph.reads(node).filter_map(|read| self.states.made_on(read));
                let is_free = |slot: &usize| self.slots[*slot].is_none();
                let free: Vec<usize> = made.chain(0..self.slots.len()).filter(is_free).collect();
                let admits = |&&slot: &&usize| self.sharing.admits(node, slot, self.executor.slots(), &self.slots);
                free.iter().find(admits).or(free.first()).copied()
            }
        }
    }

    /// Takes the right to run a node and hands it to a slot. An error is one of the cache.
    fn claim(&mut self, node: NodeId, slot: usize) -> Result<(), CacheError> {
        let State::Ready { action, reasons } = self.states.get(node) else { return Ok(()) };
        let (key, forced) = (action.key, reasons.contains(&Reason::Forced));
        if self.is_left_to_others(node) {
            return Ok(());
        }
        if self.cache.is_shared() {
            return if self.preparations.leave_alone(node) { Ok(()) } else { self.prepare(node, slot, forced) };
        }
        let address = self.pipeline.node(node).address();
        // Not waiting here: the other slots have work to do meanwhile.
        let before = self.cache.collections()?;
        let mut looked = match forced {
            true => self.cache.lookup_forced(key, &address, &mut |_| false).map(Lookup::Miss),
            false => self.cache.lookup(key, &address, &mut |_| false),
        };
        if matches!(looked, Ok(Lookup::Hit(_))) && !self.keeps(key, &before)? {
            looked = self.cache.lookup(key, &address, &mut |_| false);
        }
        if let Ok(Lookup::Hit(record)) = looked {
            if self.on_record(node, record, false) {
                return Ok(());
            }
            looked = self.cache.lookup_forced(key, &address, &mut |_| false).map(Lookup::Miss);
        }
        match looked {
            Ok(Lookup::Miss(claim)) => self.start(node, slot, claim),
            Ok(Lookup::Hit(_)) => Ok(()),
            Err(CacheError::Interrupted { holder }) => {
                self.say_for_whom(node, &holder);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Pins a record that was found. False where garbage was collected meanwhile: such a collection may not have seen the pin, and
    /// the record has to be looked for again.
    fn keeps(&mut self, key: Key, before: &Collections) -> Result<bool, CacheError> {
        self.observer.reaches(key);
        Ok(self.cache.collections()?.none_since(before))
    }

    /// Whether a ready node is not for this process: it failed in another one, or this one computes nothing.
    fn is_left_to_others(&mut self, node: NodeId) -> bool {
        let Some(peers) = &self.peers else { return false };
        match (peers.failure(&self.pipeline.node(node).address()), peers.left()) {
            (Some(failure), _) | (None, Some(Left::ByAll(failure))) => self.fail_for_good(node, failure),
            (None, Some(Left::AfterAnother)) => self.skip_after_failure(node),
            (None, None) => return false,
        }
        true
    }

    /// Another process was faster with a ready node. False where its record lacks an output that the kind has got since.
    fn on_record(&mut self, node: NodeId, record: Box<Record>, anew: bool) -> bool {
        // With this very question.
        if self.planner.ask(node, &record) {
            self.observer.reaches(record.key);
            self.states.set(node, State::Pending);
            return true;
        }
        if !anew && self.planner.lacks(node, &record).is_some() {
            return false;
        }
        self.fresh(node, Arc::new(*record));
        true
    }

    /// Says once for whom a node waits.
    fn say_for_whom(&mut self, node: NodeId, holder: &Holder) {
        if self.states.first_wait(node) {
            let address = self.pipeline.node(node).address();
            self.emit(Event::Waiting { node: address, holder: holder.to_string() });
        }
    }

    /// Hands a claimed node to a free slot.
    fn start(&mut self, node: NodeId, slot: usize, claim: Claim) -> Result<(), CacheError> {
        let State::Ready { action, reasons } = self.states.get(node) else { return Ok(()) };
        let (action, reasons) = (action.clone(), reasons.clone());
        let address = self.pipeline.node(node).address();
        if let Some(failure) = self.peers.as_ref().and_then(|peers| peers.failure_by_now(&address)) {
            drop(claim);
            self.fail_for_good(node, failure);
            return Ok(());
        }
        let begun = self.peers.as_ref().map_or(Ok(()), |peers| peers.begin(&address));
        if let Err(failure) = begun {
            drop(claim);
            self.fail(node, failure.cause, failure.message, failure.hint, failure.log);
            return Ok(());
        }
        if reasons.contains(&Reason::Forced)
            && let Err(error) = self.cache.remove_scratch(action.key)
        {
            tracing::warn!(%error, "a checkpoint of an earlier run stays");
        }
        self.jobs += 1;
        let job = JobId(self.jobs);
        let order = self.job(job, node, &action)?;
        let kind = self.pipeline.node(node).kind.clone();
        let name = self.executor.slots()[slot].clone();
        let continues = crate::standing::step(self.cache, action.key, order.version);
        self.emit(Event::Started { node: address, kind, slot: name, reasons, continues });
        match self.executor.start(slot, order) {
            Ok(()) => {
                self.slots[slot] = Some(node);
                let running = Running::new(slot, job, action, claim, self.patience.silence);
                self.states.set(node, State::Running(Box::new(running)));
            }
            Err(error) => {
                drop(claim);
                self.fail(node, None, error.message, error.hint, Vec::new());
            }
        }
        Ok(())
    }

    fn on_signal(&mut self, signal: Signal) {
        match signal {
            Signal::Job { slot, id, event } => self.on_job_event(slot, id, event),
            Signal::Died { slot, death } => self.on_worker_died(slot, &death),
        }
    }

    fn emit(&mut self, event: Event) {
        self.observer.on_event(&event);
    }
}

/// Seconds since 1970, for provenance.
fn unix_now() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
