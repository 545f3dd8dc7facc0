//! Leases at a store: who computes a key, across machines. They save work and no more: a key that is computed twice has two
//! right records. A store that does not answer is no reason to wait: then a process goes on without a lease.

use super::asking::Asking;
use super::beat::{self, Watch};
use super::lease::{self, Bid, Name, Next};
use super::probe::Probe;
use super::reaches::Reaches;
use super::remote::{Pace, drawn, lock};
use super::store::StoreError;
use crate::{Holder, Key, holder};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

/// No lease says more about its holder.
const LIMIT: u64 = 1 << 14;
/// What a process reaches is written again after so many heartbeats.
const SELDOM: u32 = 40;

/// The leases of one process at one store.
#[derive(Debug)]
pub(crate) struct Leases {
    asking: Arc<Asking>,
    pace: Pace,
    /// How late the store's listings are, where it is tried out.
    probe: Option<Arc<Probe>>,
    /// This process, by a name that nobody else has.
    holder: String,
    watch: Mutex<Watch>,
    /// What this process reaches; shown with the heartbeats.
    reaches: Reaches,
    /// The keys that are held or bid for, and the nodes that this is for.
    held: Mutex<HashMap<Key, String>>,
    beating: Mutex<Beating>,
    rung: Condvar,
    /// Whether it was said that leases cannot be taken.
    said: AtomicBool,
}

#[derive(Debug, Default)]
struct Beating {
    begun: bool,
    ended: bool,
}

/// A key that this process computes, for others to see. Dropping it takes it back.
#[derive(Debug)]
pub(crate) struct Lease {
    name: Name,
    leases: Arc<Leases>,
    settled: bool,
}

/// What came of wanting a key.
#[derive(Debug)]
pub(crate) enum Taken {
    /// This process has it.
    Mine(Lease),
    /// Another one has it.
    Held(Holder),
    /// The store does not say.
    Unknown,
}

/// What a listing shows of a key.
struct Listed {
    all: Vec<Name>,
    /// Leases of others whose holders live.
    live: Vec<Name>,
}

impl Leases {
    pub(super) fn new(asking: Arc<Asking>, pace: Pace, probe: Option<Arc<Probe>>) -> Self {
        let host = holder::host().to_ascii_lowercase();
        let host: String =
            host.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect();
        Leases {
            asking,
            pace,
            probe,
            holder: format!("{host}-{}.{}", std::process::id(), &drawn()[..16]),
            watch: Mutex::default(),
            reaches: Reaches::default(),
            held: Mutex::default(),
            beating: Mutex::default(),
            rung: Condvar::new(),
            said: AtomicBool::new(false),
        }
    }

    /// Takes the lease of a key for a node, if no other live process has it.
    pub fn take(self: &Arc<Self>, key: Key, node: &str) -> Taken {
        match self.try_take(key, node) {
            Ok(taken) => taken,
            Err(error) => {
                match &error {
                    StoreError::Other(why) if !self.said.swap(true, Ordering::Relaxed) => {
                        tracing::warn!("no leases can be taken, so others may compute the same: {why}");
                    }
                    _ => tracing::debug!(%key, %error, "no lease was taken"),
                }
                Taken::Unknown
            }
        }
    }

    fn try_take(self: &Arc<Self>, key: Key, node: &str) -> Result<Taken, StoreError> {
        let listed = self.list(key)?;
        if let Some(other) = listed.live.iter().min() {
            return Ok(Taken::Held(self.told(other)));
        }
        self.begin_beating()?;
        let wait = self.probe.as_ref().map_or(Ok(Duration::ZERO), |probe| Ok(probe.findings()?.wait()))?;
        let name = Name { key, attempt: lease::next_attempt(listed.all.iter()), holder: self.holder.clone() };
        let body = serde_json::to_vec(&Holder::me(node)).unwrap_or_default();
        // From here on it is taken back if anything goes wrong.
        lock(&self.held).insert(key, node.to_string());
        let mine = Lease { name: name.clone(), leases: self.clone(), settled: false };
        self.asking.change(|store| store.put(&name.object(), body.len() as u64, &mut body.as_slice()))?;
        thread::sleep(wait);
        let mut bid = Bid::new();
        loop {
            let live = self.list(key)?.live;
            match bid.judge(&name, &live) {
                Next::Holds => return Ok(Taken::Mine(mine)),
                Next::Yields(other) => {
                    drop(mine);
                    return Ok(Taken::Held(self.told(&other)));
                }
                Next::LooksAgain(pause) => thread::sleep(pause.min(self.pace.interval)),
            }
        }
    }

    /// The leases of a key, and those of others whose holders live.
    fn list(&self, key: Key) -> Result<Listed, StoreError> {
        let leases = self.asking.ask(|store| store.list(lease::FOLDER))?;
        let all: Vec<Name> = leases.iter().filter_map(|(name, _)| Name::of_object(name)).collect();
        self.remove_strays(&all)?;
        let of_key: Vec<Name> = all.iter().filter(|name| name.key == key).cloned().collect();
        let mut live: Vec<Name> = of_key.iter().filter(|name| name.holder != self.holder).cloned().collect();
        if !live.is_empty() {
            let beats = self.asking.ask(|store| store.list(beat::FOLDER))?;
            let versions: HashMap<&str, u64> =
                beats.iter().filter_map(|(name, seen)| Some((name.rsplit_once('/')?.1, seen.version))).collect();
            let now = Instant::now();
            let mut watch = lock(&self.watch);
            let holders: HashSet<&str> = all.iter().map(|name| name.holder.as_str()).collect();
            watch.keep(|holder| holders.contains(holder));
            let mut dead: HashSet<&str> = HashSet::new();
            for holder in of_key.iter().map(|name| name.holder.as_str()).filter(|holder| *holder != self.holder) {
                if !dead.contains(holder) && !watch.is_alive(holder, versions.get(holder).copied(), now, self.pace.ttl)
                {
                    dead.insert(holder);
                }
            }
            live.retain(|name| !dead.contains(name.holder.as_str()));
        }
        Ok(Listed { all: of_key, live })
    }

    /// Removes leases in one's own name that one does not hold: a writing that was given up may have come late.
    fn remove_strays(&self, listed: &[Name]) -> Result<(), StoreError> {
        let held = lock(&self.held);
        let mine = listed.iter().filter(|name| name.holder == self.holder);
        let strays: Vec<String> = mine.filter(|name| !held.contains_key(&name.key)).map(Name::object).collect();
        drop(held);
        if strays.is_empty() { Ok(()) } else { self.asking.change(|store| store.delete(&strays)) }
    }

    /// Who has a lease, in its own words.
    fn told(&self, name: &Name) -> Holder {
        let text = self.asking.ask(|store| store.get(&name.object(), LIMIT)).ok().flatten();
        text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    /// Removes the leases of a key that is on record: one's own and those of earlier attempts.
    fn settle(&self, name: &Name) {
        lock(&self.held).remove(&name.key);
        let listed = self.asking.ask(|store| store.list(lease::FOLDER)).unwrap_or_default();
        let names = listed.iter().filter_map(|(object, _)| Name::of_object(object));
        let earlier = names.filter(|other| other.key == name.key && other.attempt <= name.attempt);
        let mut objects: Vec<String> =
            earlier.map(|other| other.object()).filter(|object| *object != name.object()).collect();
        objects.push(name.object());
        if let Err(error) = self.asking.change(|store| store.delete(&objects)) {
            tracing::debug!(%error, "a lease stays until its holder is taken for dead");
        }
    }

    /// Writes the first heartbeat, and has the others written, unless that was done.
    fn begin_beating(self: &Arc<Self>) -> Result<(), StoreError> {
        let mut beating = lock(&self.beating);
        if beating.begun {
            return Ok(());
        }
        self.beat()?;
        beating.begun = true;
        let (leases, interval) = (Arc::downgrade(self), self.pace.interval);
        thread::spawn(move || {
            while let Some(leases) = Weak::upgrade(&leases) {
                let beating = lock(&leases.beating);
                let waited = leases.rung.wait_timeout_while(beating, interval, |beating| !beating.ended);
                if waited.unwrap_or_else(PoisonError::into_inner).0.ended {
                    return;
                }
                if let Err(error) = leases.beat() {
                    tracing::debug!(%error, "a heartbeat was not written");
                }
            }
        });
        Ok(())
    }

    fn beat(&self) -> Result<(), StoreError> {
        if let Err(error) = self.reaches.show(&self.asking, &self.holder, self.pace.interval * SELDOM) {
            tracing::debug!(%error, "what this run reaches is not noted there");
        }
        let nodes: Vec<String> = lock(&self.held).values().cloned().collect();
        let body = serde_json::to_vec(&Holder::me(&nodes.join(" "))).unwrap_or_default();
        self.asking.change(|store| store.put(&beat::object(&self.holder), body.len() as u64, &mut body.as_slice()))?;
        Ok(())
    }

    /// After how long to look again at a key that another process has: longer each time.
    pub fn pause(&self, looks: u32) -> Duration {
        (self.pace.interval / 8 * 2u32.saturating_pow(looks.min(4))).min(self.pace.interval * 2)
    }

    /// Notes what a run of this process reached.
    pub fn reaches(&self, run: &str, pipeline: &str, keys: &[Key]) {
        self.reaches.add(run, pipeline, keys);
    }

    /// Ends the heartbeats. What is still held counts as lost after a while.
    pub fn leave(&self) {
        // One that found everything here asks for nothing at its end either.
        if self.asking.was_asked()
            && let Err(error) = self.reaches.show(&self.asking, &self.holder, Duration::ZERO)
        {
            tracing::debug!(%error, "what this run reached is not noted there");
        }
        let mut beating = lock(&self.beating);
        let was = std::mem::replace(&mut beating.ended, true);
        self.rung.notify_all();
        if beating.begun && !was && lock(&self.held).is_empty() {
            let object = beat::object(&self.holder);
            if let Err(error) = self.asking.change(|store| store.delete(std::slice::from_ref(&object))) {
                tracing::debug!(%error, "a heartbeat stays");
            }
        }
    }
}

impl Lease {
    /// The key is on record where others look: leases of it are of no use any more.
    pub fn settle(mut self) {
        self.settled = true;
        self.leases.settle(&self.name);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        lock(&self.leases.held).remove(&self.name.key);
        let object = self.name.object();
        if let Err(error) = self.leases.asking.change(|store| store.delete(std::slice::from_ref(&object))) {
            tracing::debug!(%error, "a lease stays until its holder is taken for dead");
        }
    }
}
