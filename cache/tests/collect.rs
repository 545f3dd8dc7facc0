//! Garbage of a remote, beside its users: what goes and what stays, with days that pass in no time, with a publication or a
//! collection at every request of the other, and with each fault at each request. And the verification of a remote.
#![allow(clippy::unwrap_used)]

#[path = "common/mod.rs"]
mod common;
#[path = "common/faulty.rs"]
mod faulty;

use common::{HOUR, commit, in_memory, key};
use ddpipe_cache::shared::{Collected, Memory, Patience, Remote, Rules, Seen, Store, StoreError};
use ddpipe_cache::{Cache, Count, Digest, Key, Lookup};
use faulty::{Fault, Faulty};
use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// The usual rules, carried out.
const RULES: Rules = Rules {
    keep_runs: 3,
    keep: Duration::from_secs(30 * 24 * 3600),
    grace: DAY,
    settled: Duration::from_secs(7 * 24 * 3600),
    dry_run: false,
};

struct Lab {
    folder: TempDir,
    memory: Arc<Memory>,
}

impl Lab {
    fn new() -> Self {
        Lab { folder: in_memory(), memory: Arc::new(Memory::default()) }
    }

    fn remote(&self) -> Remote {
        over(self.memory.clone())
    }

    fn cache(&self, name: &str) -> Cache {
        self.cache_over(name, self.remote())
    }

    fn cache_over(&self, name: &str, remote: Remote) -> Cache {
        Cache::open_sharing(&self.folder.path().join(name), None, Some(remote)).unwrap()
    }

    /// A run of one stage with this content, by somebody of this name; it reaches its result if it says so.
    fn run(&self, who: &str, pipeline: Option<&str>, node: &str, content: &str) -> bool {
        run(&self.cache(who), pipeline, node, content)
    }

    fn collect(&self) -> Collected {
        self.remote().collect(RULES).unwrap()
    }

    fn has(&self, node: &str) -> bool {
        self.memory.objects().contains_key(&record_name(key(node)))
    }

    fn has_blob(&self, content: &str) -> bool {
        self.memory.objects().contains_key(&blob_name(content))
    }

    fn names(&self, folder: &str) -> Vec<String> {
        self.memory.objects().keys().filter(|name| name.starts_with(folder)).cloned().collect()
    }

    /// Never a record without its blobs.
    #[track_caller]
    fn assert_sound(&self, when: &str) {
        let report = self.remote().verify(&|_, _| {}).unwrap();
        assert!(report.is_clean(), "{when}: {report:?}");
    }
}

fn over(store: Arc<dyn Store>) -> Remote {
    let pause = Duration::from_micros(20);
    Remote::over(store, Patience { first: pause, longest: pause, in_all: pause * 50, stubborn: false })
}

fn run(cache: &Cache, pipeline: Option<&str>, node: &str, content: &str) -> bool {
    let folder = pipeline.map(|pipeline| cache.new_run(pipeline).unwrap());
    let computed = match cache.lookup(key(node), node, &mut common::never).unwrap() {
        Lookup::Miss(claim) => {
            commit(cache, claim, node, content.as_bytes());
            true
        }
        Lookup::Hit(_) => false,
    };
    if let Some(folder) = folder {
        folder.pin(&[key(node)]).unwrap();
    }
    cache.finish_sending(&mut || true).unwrap();
    computed
}

fn record_name(key: Key) -> String {
    format!("records-v1/{}/{}.json", &key.hex()[..2], &key.hex()[2..])
}

fn blob_name(content: &str) -> String {
    let hex = Digest::of(content.as_bytes()).hex();
    format!("blobs-v1/{}/{}", &hex[..2], &hex[2..])
}

#[test]
fn garbage_is_noted_and_goes_a_day_later() {
    let lab = Lab::new();
    lab.run("ada", Some("p"), "needed", "needed");
    lab.run("ada", None, "stray", "stray");
    assert_eq!(lab.collect().noted, Count::default(), "all of it is young");
    lab.memory.pass(31 * DAY);
    let dry = lab.remote().collect(Rules { dry_run: true, ..RULES }).unwrap();
    assert!(lab.names("gc-v1").is_empty());
    let first = lab.collect();
    assert_eq!((first.noted.files, first.removed_records.files, first.needed), (2, 0, 1));
    assert_eq!((dry.records, dry.blobs), (first.records, first.blobs));
    // Noted anew each hour it would never go.
    for hours in [1, 22] {
        lab.memory.pass(HOUR * hours);
        let early = lab.collect();
        assert_eq!((early.noted, early.removed_records.files), (first.noted, 0));
        assert!(early.due <= DAY - HOUR * hours, "{:?}", early.due);
    }
    lab.memory.pass(HOUR);
    let second = lab.collect();
    assert_eq!((second.removed_records.files, second.removed_blobs.files, second.noted.files), (1, 1, 0));
    assert!(!lab.has("stray") && !lab.has_blob("stray"));
    assert!(lab.has("needed") && lab.has_blob("needed"));
    lab.assert_sound("afterwards");
    assert!(lab.names("gc-v1").is_empty(), "{:?}", lab.names("gc-v1"));
    assert!(!lab.run("ben", None, "needed", "needed"));
    assert!(lab.run("ben", None, "stray", "stray"));
}

#[test]
fn what_is_reached_or_written_anew_after_it_was_noted_stays() {
    let lab = Lab::new();
    for node in ["reached", "pushed", "none"] {
        lab.run("ada", None, node, node);
    }
    // A blob of no record, whose record comes later.
    lab.memory.put(&blob_name("late"), 4, &mut &b"late"[..]).unwrap();
    lab.memory.pass(40 * DAY);
    assert_eq!(lab.collect().noted.files, 7);
    lab.memory.pass(DAY);
    assert!(!lab.run("ben", Some("p"), "reached", "reached"), "it is taken from there");
    assert!(lab.run("ben", None, "late", "late"));
    // Forced: sent anew over what is there.
    let cache = lab.cache("eve");
    let claim = cache.lookup_forced(key("pushed"), "pushed", &mut common::never).unwrap();
    commit(&cache, claim, "pushed", b"pushed");
    cache.finish_sending(&mut || true).unwrap();
    let collected = lab.collect();
    assert_eq!((collected.removed_records.files, collected.removed_blobs.files), (1, 1));
    for node in ["reached", "pushed", "late"] {
        assert!(lab.has(node) && lab.has_blob(node), "{node}");
    }
    assert!(!lab.has("none"));
    lab.assert_sound("afterwards");
}

#[test]
fn the_last_runs_of_each_pipeline_and_those_at_work_keep_what_they_reached() {
    let lab = Lab::new();
    for run in 1..=5 {
        lab.run("ada", Some("p"), &format!("p{run}"), &format!("p{run}"));
        lab.run("ada", Some("q"), "q", "q");
        lab.memory.pass(DAY);
    }
    lab.memory.pass(40 * DAY);
    // The first run is at work still: its heartbeat is young, whatever the age of its list.
    let alive = lab.names("reached-v1").into_iter().find(|name| {
        let text = String::from_utf8(lab.memory.objects()[name].clone()).unwrap();
        text.contains(&key("p1").hex())
    });
    let beat = alive.unwrap().replace("reached-v1", "beats-v1");
    let beats = |memory: &Memory| memory.put(&beat, 2, &mut &b"{}"[..]).map(drop).unwrap();
    beats(&lab.memory);
    lab.collect();
    lab.memory.pass(DAY);
    beats(&lab.memory);
    let collected = lab.collect();
    assert_eq!((collected.removed_records.files, collected.removed_blobs.files), (1, 1));
    assert!(!lab.has("p2"));
    for node in ["p1", "p3", "p4", "p5", "q"] {
        assert!(lab.has(node) && lab.has_blob(node), "{node}");
    }
    // Then it ends.
    lab.memory.pass(2 * DAY);
    lab.collect();
    lab.memory.pass(DAY);
    lab.collect();
    assert!(!lab.has("p1") && lab.has("p3") && !lab.memory.objects().contains_key(&beat));
}

#[test]
fn leases_and_heartbeats_of_the_dead_go_and_those_of_the_living_stay() {
    let lab = Lab::new();
    lab.run("ada", None, "done", "done");
    // As if its process had been killed.
    let dead = lab.cache("ada");
    std::mem::forget(common::claim(&dead, key("begun")));
    lab.memory.pass(DAY);
    let ben = lab.cache("ben");
    let claim = common::claim(&ben, key("other"));
    assert_eq!((lab.names("leases-v1").len(), lab.names("beats-v1").len()), (2, 2));
    assert_eq!(lab.collect().removed_notes, 2);
    assert_eq!((lab.names("leases-v1").len(), lab.names("beats-v1").len()), (1, 1));
    drop(claim);
}

#[test]
fn what_must_not_be_collected_is_refused() {
    let lab = Lab::new();
    let said = |lab: &Lab| lab.remote().collect(RULES).unwrap_err().to_string();
    assert!(said(&lab).contains("nothing was ever sent there"));
    lab.run("ada", None, "done", "done");
    let name = record_name(key("done"));
    let mut fields: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&lab.memory.objects()[&name]).unwrap();
    fields.shift_remove("check");
    fields.insert("format".into(), 9.into());
    let path = lab.folder.path().join("newer");
    common::reseal(&path, fields);
    lab.memory.objects().insert(name, std::fs::read(path).unwrap());
    assert!(said(&lab).contains("has format 9"), "{}", said(&lab));
    let lab = Lab::new();
    lab.run("ada", None, "done", "done");
    lab.memory.put("runs/20261128-042056-ea76/reached.json", 2, &mut &b"{}"[..]).unwrap();
    assert!(said(&lab).contains("it is a cache folder that runs use"), "{}", said(&lab));
}

/// A store that lets something else happen before the request of a number.
struct Between {
    memory: Arc<Memory>,
    requests: AtomicUsize,
    at: usize,
    act: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl std::fmt::Debug for Between {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Between")
    }
}

impl Between {
    fn new(memory: &Arc<Memory>, at: usize, act: impl FnOnce() + Send + 'static) -> Arc<Self> {
        let act = Mutex::new(Some(Box::new(act) as Box<dyn FnOnce() + Send>));
        Arc::new(Between { memory: memory.clone(), requests: AtomicUsize::new(0), at, act })
    }

    fn next(&self) -> &Memory {
        if self.requests.fetch_add(1, Ordering::SeqCst) == self.at {
            let act = self.act.lock().unwrap().take();
            act.into_iter().for_each(|act| act());
        }
        &self.memory
    }

    fn has_acted(&self) -> bool {
        self.act.lock().unwrap().is_none()
    }
}

impl Store for Between {
    fn url(&self) -> &str {
        "memory://between"
    }
    fn get(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.next().get(name, limit)
    }
    fn read(&self, name: &str, from: u64, into: &mut dyn Write) -> Result<bool, StoreError> {
        self.next().read(name, from, into)
    }
    fn put(&self, name: &str, bytes: u64, body: &mut dyn Read) -> Result<Seen, StoreError> {
        self.next().put(name, bytes, body)
    }
    fn head(&self, name: &str) -> Result<Option<Seen>, StoreError> {
        self.next().head(name)
    }
    fn list(&self, folder: &str) -> Result<Vec<(String, Seen)>, StoreError> {
        self.next().list(folder)
    }
    fn delete(&self, names: &[String]) -> Result<(), StoreError> {
        self.next().delete(names)
    }
}

/// A remote in which the blob of `late` is garbage that is about to go, and its record is not there yet.
fn about_to_go() -> Lab {
    let lab = Lab::new();
    lab.run("ada", Some("p"), "needed", "needed");
    lab.memory.put(&blob_name("late"), 4, &mut &b"late"[..]).unwrap();
    lab.memory.pass(40 * DAY);
    assert_eq!(lab.collect().noted.files, 1);
    lab.memory.pass(DAY);
    lab
}

#[test]
fn a_publication_at_any_moment_of_a_collection_loses_no_blob() {
    let mut gone = 0;
    for at in 0.. {
        let lab = about_to_go();
        let (ben, unsent) = (lab.cache("ben"), Arc::new(Mutex::new(0)));
        let told = unsent.clone();
        let between = Between::new(&lab.memory, at, move || {
            assert!(run(&ben, None, "late", "late"));
            *told.lock().unwrap() = ben.unsent().unwrap().records;
        });
        over(between.clone()).collect(RULES).unwrap();
        lab.assert_sound(&format!("at {at}"));
        if !between.has_acted() {
            assert!(at > 15, "{at} requests");
            break;
        }
        gone += u64::from(!lab.has_blob("late"));
        // What waited is sent by the next command.
        let unsent = *unsent.lock().unwrap();
        assert_eq!(unsent, u64::from(!lab.has("late")), "at {at}");
        let pushed = lab.cache("ben").push(None, &mut |_, _| {}).unwrap();
        assert_eq!(pushed.records, unsent, "at {at}");
        assert!(lab.has("late"));
        lab.assert_sound(&format!("at {at}, later"));
    }
    assert!((1..=3).contains(&gone), "once the look is over the blob goes: {gone}");
}

#[test]
fn a_collection_at_any_moment_of_a_publication_loses_no_blob() {
    for at in 0.. {
        let lab = about_to_go();
        let remote = lab.remote();
        let between = Between::new(&lab.memory, at, move || drop(remote.collect(RULES).unwrap()));
        let ben = lab.cache_over("ben", over(between.clone()));
        assert!(run(&ben, None, "late", "late"));
        assert!(lab.has("late") && lab.has_blob("late"), "at {at}");
        lab.assert_sound(&format!("at {at}"));
        if !between.has_acted() {
            assert!(at > 8, "{at} requests");
            break;
        }
    }
}

#[test]
fn each_fault_at_each_request_of_a_collection_leaves_a_sound_remote() {
    for fault in [Fault::Unavailable, Fault::ReplyLost, Fault::Denied] {
        for at in 0.. {
            let lab = about_to_go();
            lab.run("ada", None, "old", "old");
            let faulty = Faulty::new();
            // The same objects, with their times.
            std::mem::swap(&mut *faulty.inner.objects(), &mut *lab.memory.objects());
            let names: Vec<(String, Vec<u8>)> =
                faulty.inner.objects().iter().map(|(name, bytes)| (name.clone(), bytes.clone())).collect();
            names.iter().for_each(|(name, bytes)| drop(faulty.inner.put(name, bytes.len() as u64, &mut &bytes[..])));
            faulty.inner.pass(40 * DAY);
            over(faulty.clone()).collect(RULES).unwrap();
            faulty.inner.pass(DAY);
            faulty.fail(fault, at, 1);
            let collected = over(faulty.clone()).collect(RULES);
            let reached = faulty.count() > at;
            assert_eq!(collected.is_err(), reached && fault == Fault::Denied, "{fault:?} at {at}");
            faulty.heal();
            let report = over(faulty.clone()).verify(&|_, _| {}).unwrap();
            assert!(report.is_clean(), "{fault:?} at {at}: {report:?}");
            for _ in 0..2 {
                faulty.inner.pass(DAY);
                over(faulty.clone()).collect(RULES).unwrap();
            }
            let left: Vec<String> = faulty.inner.objects().keys().cloned().collect();
            assert!(!left.contains(&blob_name("late")) && left.contains(&blob_name("needed")), "{fault:?} at {at}");
            assert!(!left.iter().any(|name| name.starts_with("gc-v1")), "{fault:?} at {at}: {left:?}");
            if !reached {
                break;
            }
        }
    }
}

#[test]
fn verification_names_everything_that_is_damaged() {
    let lab = Lab::new();
    for node in ["whole", "other bytes", "cut", "gone", "edited", "renamed"] {
        lab.run("ada", None, node, node);
    }
    let clean = lab.remote().verify(&|_, _| {}).unwrap();
    assert!(clean.is_clean() && clean.records == 6 && clean.blobs.files == 6 && clean.unnamed.files == 0, "{clean:?}");
    let mut objects = lab.memory.objects();
    objects.get_mut(&blob_name("other bytes")).unwrap()[0] ^= 1;
    objects.get_mut(&blob_name("cut")).unwrap().truncate(1);
    objects.remove(&blob_name("gone"));
    let edited = record_name(key("edited"));
    let text = String::from_utf8(objects[&edited].clone()).unwrap().replace("pipeline", "pipelime");
    objects.insert(edited.clone(), text.into_bytes());
    let renamed = objects.remove(&record_name(key("renamed"))).unwrap();
    let other = format!("records-v1/00/{}.json", "0".repeat(62));
    objects.insert(other.clone(), renamed);
    drop(objects);
    let report = lab.remote().verify(&|_, _| {}).unwrap();
    let mut damaged = vec![blob_name("other bytes"), blob_name("cut"), edited, other];
    damaged.sort();
    assert_eq!(report.damaged, damaged);
    let mut lost: Vec<&str> = report.incomplete.iter().map(|record| record.node.as_str()).collect();
    lost.sort_unstable();
    assert_eq!(lost, ["cut", "gone", "other bytes"]);
    assert_eq!((report.records, report.blobs.files, report.unnamed.files), (4, 3, 2));
}
