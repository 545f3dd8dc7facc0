//! Three schedulers with one pipeline and one remote, each with a cache folder of its own, on drawn schedules: requests that fail,
//! replies that are lost, bytes that are wrong, machines that die, are cut off, are stopped or fail at a node. Whatever
//! happens, who is not hit has every node on record in the end, the remote is whole, and nothing is computed more often than
//! the faults explain.

use crate::dice::{Dice, times};
use crate::lab::{Lab, Ran};
use ddpipe::event::Event;
use ddpipe::executor::Step;
use ddpipe::schedule::Interrupts;
use ddpipe_cache::Cache;
use ddpipe_cache::shared::{Memory, Pace, Patience, Remote, Seen, Store, StoreError};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// So many schedules at the same time: they wait more than they work.
const AT_ONCE: usize = 8;

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Nothing is done.
    Unavailable,
    /// It is carried out, and its reply is lost.
    ReplyLost,
    /// An object that is read has a wrong byte.
    WrongByte,
    /// It ends too early, and nobody says so.
    Cut,
}

/// What happens to a machine, at a node that it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blow {
    /// It is gone; what it holds at the remote stays there.
    Dies,
    /// It reaches the remote no more, and goes on.
    IsCutOff,
    /// All its requests hang until others take it for dead.
    Hangs,
    /// Its user interrupts it.
    IsStopped,
    /// The node fails there.
    Fails,
}

/// One machine's way to the remote.
#[derive(Debug)]
struct Line {
    store: Arc<Memory>,
    faults: BTreeMap<usize, Fault>,
    requests: AtomicUsize,
    is_cut: AtomicBool,
    hangs: Mutex<Duration>,
    /// How long each request takes.
    takes: Duration,
    /// How many objects came with wrong bytes.
    spoilt: AtomicUsize,
}

impl Line {
    fn act<T>(&self, request: impl FnOnce(&Memory) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let number = self.requests.fetch_add(1, Ordering::SeqCst);
        let hangs = *self.hangs.lock().unwrap();
        thread::sleep(hangs.max(self.takes));
        if self.is_cut.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("the line is cut".into()));
        }
        match self.faults.get(&number) {
            Some(Fault::Unavailable) => Err(StoreError::Unavailable("503".into())),
            Some(Fault::ReplyLost) => {
                request(&self.store).and_then(|_| Err(StoreError::Unavailable("timed out".into())))
            }
            _ => request(&self.store),
        }
    }

    /// Spoils bytes that are read, if that is the fault of the request that was made last.
    fn spoil(&self, bytes: &mut Vec<u8>) {
        let number = self.requests.load(Ordering::SeqCst).saturating_sub(1);
        let middle = bytes.len() / 2;
        match self.faults.get(&number) {
            Some(Fault::WrongByte) if !bytes.is_empty() => bytes[middle] ^= 1,
            Some(Fault::Cut) => bytes.truncate(middle),
            _ => return,
        }
        self.spoilt.fetch_add(1, Ordering::SeqCst);
    }
}

impl Store for Line {
    fn url(&self) -> &str {
        "memory://line"
    }

    fn get(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let mut found = self.act(|store| store.get(name, limit))?;
        // The mark has no check of its own.
        if let Some(bytes) = found.as_mut().filter(|_| name.contains('/')) {
            self.spoil(bytes);
        }
        Ok(found)
    }

    fn read(&self, name: &str, from: u64, into: &mut dyn Write) -> Result<bool, StoreError> {
        let mut bytes = Vec::new();
        let found = self.act(|store| store.read(name, from, &mut bytes))?;
        self.spoil(&mut bytes);
        into.write_all(&bytes).map_err(|error| StoreError::Other(error.to_string()))?;
        Ok(found)
    }

    fn put(&self, name: &str, bytes: u64, body: &mut dyn Read) -> Result<Seen, StoreError> {
        self.act(|store| store.put(name, bytes, body))
    }

    fn head(&self, name: &str) -> Result<Option<Seen>, StoreError> {
        self.act(|store| store.head(name))
    }

    fn list(&self, folder: &str) -> Result<Vec<(String, Seen)>, StoreError> {
        self.act(|store| store.list(folder))
    }

    fn delete(&self, names: &[String]) -> Result<(), StoreError> {
        self.act(|store| store.delete(names))
    }
}

/// What is drawn for one machine.
#[derive(Clone, Debug)]
struct Lot {
    faults: BTreeMap<usize, Fault>,
    blow: Option<(Blow, usize)>,
    slots: usize,
    takes: Duration,
}

impl Lot {
    fn drawn(dice: &mut Dice, may_be_hit: bool) -> Self {
        let kinds = [Fault::Unavailable, Fault::ReplyLost, Fault::WrongByte, Fault::Cut];
        let mut faults = BTreeMap::new();
        for _ in 0..dice.below(4) {
            let (at, kind) = (dice.below(120), dice.among(&kinds).unwrap());
            faults.extend((0..1 + dice.below(3)).map(|more| (at + more, kind)));
        }
        let blows = [Blow::Dies, Blow::IsCutOff, Blow::Hangs, Blow::IsStopped, Blow::Fails];
        let is_hit = may_be_hit && dice.below(2) == 0;
        let blow = is_hit.then(|| (dice.among(&blows).unwrap(), dice.below(3)));
        let takes = Duration::from_micros(300 * dice.below(4) as u64);
        Lot { faults, blow, slots: 1 + dice.below(2), takes }
    }

    fn is_missed(&self) -> bool {
        matches!(self.blow, Some((Blow::Dies | Blow::IsCutOff | Blow::Hangs, _)))
    }
}

/// A graph in which each node reads some of those before it.
fn manifest(dice: &mut Dice) -> String {
    let mut text = String::new();
    for node in 0..2 + dice.below(5) {
        writeln!(text, "[stages.n{node}]\nkind = \"use.many\"\nparams = {{ x = {node} }}").unwrap();
        let reads: Vec<String> = (0..node).filter(|_| dice.below(3) == 0).map(|read| format!("\"n{read}\"")).collect();
        if !reads.is_empty() {
            writeln!(text, "inputs = {{ all = {{ gather = [{}] }} }}", reads.join(", ")).unwrap();
        }
    }
    text
}

/// One machine's run, and how often any one node may be computed more because of it.
fn run(lab: &Lab, folder: &Path, lot: &Lot, store: &Arc<Memory>, pace: Pace) -> (Ran, usize) {
    let line = Arc::new(Line {
        store: store.clone(),
        faults: lot.faults.clone(),
        requests: AtomicUsize::new(0),
        is_cut: AtomicBool::new(false),
        hangs: Mutex::default(),
        takes: lot.takes,
        spoilt: AtomicUsize::new(0),
    });
    let pause = Duration::from_micros(100);
    let patience = Patience { first: pause, longest: pause, in_all: pause * 40, stubborn: false };
    let cache = Cache::open_sharing(folder, None, Some(Remote::over(line.clone(), patience).at_pace(pace))).unwrap();
    let interrupts = Interrupts::default();
    let mut begun = 0;
    let watch = |event: &Event| {
        let Event::Started { .. } = event else { return };
        begun += 1;
        let Some((blow, _)) = lot.blow.filter(|(_, at)| begun == at + 1) else { return };
        match blow {
            Blow::Dies => {
                line.is_cut.store(true, Ordering::SeqCst);
                interrupts.raise();
                interrupts.raise();
            }
            Blow::IsCutOff => line.is_cut.store(true, Ordering::SeqCst),
            Blow::Hangs => {
                *line.hangs.lock().unwrap() = pace.ttl * 2;
                thread::sleep(pace.ttl * 2);
                *line.hangs.lock().unwrap() = Duration::ZERO;
            }
            Blow::IsStopped => interrupts.raise(),
            Blow::Fails => {}
        }
    };
    let mut attempt = lab.attempt().cache(&cache).slots(&["cpu", "cuda:0"][..lot.slots]).with_surprises();
    if let Some((Blow::Fails, at)) = lot.blow {
        attempt = attempt.on(&format!("n{at}"), Step::DieBeforeStored);
    }
    let ran = attempt.interrupts(&interrupts).watch(watch).go();
    cache.finish_sending(&mut || true).unwrap();
    let spoilt = line.spoilt.load(Ordering::SeqCst);
    (ran, spoilt + usize::from(lot.blow.is_some()))
}

/// One schedule.
fn schedule(seed: u64) {
    let mut dice = Dice::seeded(seed);
    let lab = Lab::new(&manifest(&mut dice));
    let lots: Vec<Lot> = (0..3).map(|machine| Lot::drawn(&mut dice, machine > 0)).collect();
    // Who dies has to be missed soon; where nobody does, nobody may be taken for dead because this machine is busy.
    let some_are_missed = lots.iter().any(Lot::is_missed);
    let interval = Duration::from_millis(10);
    let pace = Pace { interval, ttl: if some_are_missed { interval * 6 } else { Duration::from_secs(60) } };
    let (store, folder) = (Arc::new(Memory::default()), tempfile::tempdir_in("/dev/shm").unwrap());
    let (lab, lots, store) = (&lab, &lots, &store);
    let (ran, costs): (Vec<Ran>, Vec<usize>) = thread::scope(|scope| {
        let folder = |machine: usize| folder.path().join(machine.to_string());
        let all: Vec<_> = (0..3)
            .map(|machine| {
                let folder = folder(machine);
                scope.spawn(move || run(lab, &folder, &lots[machine], store, pace))
            })
            .collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let told = format!("DDPIPE_SEED={seed}: {lots:#?}\n{:?}", ran.iter().map(Ran::order).collect::<Vec<_>>());
    for (lot, ran) in lots.iter().zip(&ran) {
        if matches!(lot.blow, None | Some((Blow::IsCutOff | Blow::Hangs, _))) {
            ran.is_complete();
        }
    }
    // What is there is whole, and is what one machine alone computes.
    let remote = Remote::over(store.clone(), Patience::default());
    let seen = remote.verify(&|_, _| {}).unwrap();
    assert!(seen.is_clean(), "{seen:?}\n{told}");
    let cache = Cache::open_sharing(&folder.path().join("new"), None, Some(remote)).unwrap();
    let alone = lab.attempt().cache(&Cache::open(&folder.path().join("alone")).unwrap()).go();
    let taken = lab.attempt().cache(&cache).with_surprises().go();
    assert!(taken.order().is_empty(), "{:?} are not in the remote\n{told}", taken.order());
    let outputs = |ran: &Ran| -> Vec<String> {
        let mut records: Vec<String> =
            ran.summary.records.iter().map(|(node, record)| format!("{node:?} {:?}", record.outputs)).collect();
        records.sort();
        records
    };
    assert_eq!(outputs(&alone), outputs(&taken), "{told}");
    // Who is gone leaves its lease; nobody else does.
    if !some_are_missed {
        let left: Vec<String> = store.objects().keys().filter(|name| name.starts_with("leases-v1/")).cloned().collect();
        assert!(left.is_empty(), "{left:?}\n{told}");
        let may = 1 + costs.iter().sum::<usize>();
        let mut times: BTreeMap<&str, usize> = BTreeMap::new();
        ran.iter().flat_map(Ran::order).for_each(|node| *times.entry(node).or_default() += 1);
        assert!(times.values().all(|times| *times <= may), "{times:?}, and {may} may be\n{told}");
    }
}

#[test]
fn whatever_hits_a_machine_the_others_complete_the_sweep_and_the_remote_is_whole() {
    let first = Dice::new().seed();
    let (next, all) = (AtomicUsize::new(0), times(500));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    if number >= all {
                        return;
                    }
                    schedule(first.wrapping_add(number as u64));
                }
            });
        }
    });
}
