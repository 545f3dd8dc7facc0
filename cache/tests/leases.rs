//! Who computes a key, across cache folders that share nothing but a store: holders that live, die, are paused and come
//! back.
#![allow(clippy::unwrap_used)]

#[path = "common/mod.rs"]
mod common;
#[path = "common/faulty.rs"]
mod faulty;

use common::{commit, in_memory, key};
use ddpipe_cache::shared::{Pace, Patience, Remote};
use ddpipe_cache::{Cache, CacheError, Claim, Lookup};
use faulty::{Fault, Faulty};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

struct Lab {
    folder: TempDir,
    store: Arc<Faulty>,
}

impl Lab {
    fn new() -> Self {
        Lab { folder: in_memory(), store: Faulty::new() }
    }

    fn cache(&self, name: &str) -> Cache {
        let pause = Duration::from_micros(50);
        let patience = Patience { first: pause, longest: pause, in_all: pause * 4, stubborn: false };
        let remote = Remote::over(self.store.clone(), patience).at_pace(Pace::every(Duration::from_millis(10)));
        Cache::open_sharing(&self.folder.path().join(name), None, Some(remote)).unwrap()
    }

    fn leases(&self) -> Vec<String> {
        self.store.inner.objects().keys().filter(|name| name.starts_with("leases-v1/")).cloned().collect()
    }

    fn beats(&self) -> usize {
        self.store.inner.objects().keys().filter(|name| name.starts_with("beats-v1/")).count()
    }
}

fn claim(cache: &Cache, node: &str) -> Claim {
    match cache.lookup(key(node), node, &mut |_| true).unwrap() {
        Lookup::Miss(claim) => claim,
        Lookup::Hit(_) => panic!("{node} is on record"),
    }
}

/// For whom one look waits; none where the key is free or on record.
fn held(cache: &Cache, node: &str) -> Option<String> {
    match cache.lookup(key(node), node, &mut |_| false) {
        Err(CacheError::Interrupted { holder }) => Some(holder.to_string()),
        Ok(_) => None,
        Err(error) => panic!("{error}"),
    }
}

/// As a process that is killed: nothing is given back, and nothing beats any more.
fn die(cache: Cache, claim: Claim) {
    std::mem::forget(claim);
    cache.finish_sending(&mut || true).unwrap();
}

#[test]
fn one_computes_and_the_other_waits_and_takes() {
    let lab = Lab::new();
    let (ada, ben) = (lab.cache("ada"), lab.cache("ben"));
    let claim = claim(&ada, "distill");
    let holder = held(&ben, "distill").expect("Ada has it");
    assert!(holder.contains("(distill)") && holder.contains(&std::process::id().to_string()), "{holder}");
    assert_eq!((lab.leases().len(), lab.beats()), (1, 1));
    assert_eq!(held(&ben, "evaluate"), None);
    commit(&ada, claim, "distill", b"images");
    assert_eq!(ada.finish_sending(&mut || true).unwrap().records, 0);
    assert!(matches!(ben.lookup(key("distill"), "distill", &mut |_| true).unwrap(), Lookup::Hit(_)));
    ben.finish_sending(&mut || true).unwrap();
    assert_eq!((lab.leases(), lab.beats()), (Vec::<String>::new(), 0), "nothing is left");
}

#[test]
fn a_claim_that_is_given_up_frees_the_key_at_once() {
    let lab = Lab::new();
    let (ada, ben) = (lab.cache("ada"), lab.cache("ben"));
    let first = claim(&ada, "distill");
    assert!(held(&ben, "distill").is_some());
    drop(first);
    assert!(lab.leases().is_empty());
    drop(claim(&ben, "distill"));
}

#[test]
fn the_key_of_a_dead_holder_is_free_after_a_while_and_the_attempt_counts() {
    let lab = Lab::new();
    let (ada, ben) = (lab.cache("ada"), lab.cache("ben"));
    let lost = claim(&ada, "distill");
    die(ada, lost);
    // Waits until Ada is taken for dead.
    let claim = claim(&ben, "distill");
    let leases = lab.leases();
    assert_eq!(leases.len(), 2);
    assert!(leases.iter().any(|name| name.contains(".0001.")) && leases.iter().any(|name| name.contains(".0002.")));
    commit(&ben, claim, "distill", b"images");
    ben.finish_sending(&mut || true).unwrap();
    assert!(lab.leases().is_empty(), "those of earlier attempts too");
}

#[test]
fn a_holder_that_was_paused_and_overtaken_takes_what_the_other_gave() {
    let lab = Lab::new();
    let (ada, ben) = (lab.cache("ada"), lab.cache("ben"));
    let paused = claim(&ada, "distill");
    // Ada's heartbeats stop, and her claim goes on later.
    ada.finish_sending(&mut || true).unwrap();
    commit(&ben, claim(&ben, "distill"), "distill", b"images of Ben");
    ben.finish_sending(&mut || true).unwrap();
    let adopted = commit(&ada, paused, "distill", b"images of Ada");
    let theirs = ben.peek(key("distill")).unwrap().unwrap();
    assert_eq!(adopted.outputs, theirs.outputs);
    assert_eq!(ada.peek(key("distill")).unwrap().unwrap().outputs, theirs.outputs);
}

#[test]
fn a_store_that_does_not_answer_keeps_nobody_from_working() {
    let lab = Lab::new();
    lab.store.fail(Fault::Unavailable, 0, usize::MAX);
    let (ada, ben) = (lab.cache("ada"), lab.cache("ben"));
    let (one, two) = (claim(&ada, "distill"), claim(&ben, "distill"));
    commit(&ada, one, "distill", b"images");
    commit(&ben, two, "distill", b"images");
}

#[test]
fn each_fault_at_each_request_of_a_claim_leaves_no_lease_of_somebody_who_does_not_hold_it() {
    for fault in [Fault::Unavailable, Fault::ReplyLost] {
        for at in 0.. {
            let lab = Lab::new();
            let ada = lab.cache("ada");
            lab.store.fail(fault, at, 1);
            let claim = claim(&ada, "distill");
            let reached = lab.store.count() > at;
            assert_eq!(lab.leases().len(), 1, "{fault:?} at {at}");
            drop(claim);
            assert!(lab.leases().is_empty(), "{fault:?} at {at}");
            if !reached {
                break;
            }
        }
    }
}

#[test]
fn a_folder_with_the_mark_of_a_store_is_shared_by_who_opens_it() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}", folder.path().display());
    let remote = Remote::at(&url, Patience::default()).unwrap();
    let ada = Cache::open_sharing(&folder.path().with_extension("ada"), None, Some(remote)).unwrap();
    assert_eq!(ada.push(None, &mut |_, _| {}).unwrap().records, 0);
    assert!(!Cache::open(folder.path()).unwrap().is_shared(), "nothing was ever sent there");
    commit(&ada, claim(&ada, "distill"), "distill", b"images");
    ada.finish_sending(&mut || true).unwrap();
    let opened = Cache::open(folder.path()).unwrap();
    assert!(opened.is_shared());
    let claim = claim(&opened, "evaluate");
    assert!(held(&ada, "evaluate").is_some(), "who has it as a remote waits");
    commit(&opened, claim, "evaluate", b"accuracy");
    assert_eq!(held(&ada, "evaluate"), None);
    assert!(ada.peek(key("evaluate")).unwrap().is_some());
    std::fs::remove_dir_all(folder.path().with_extension("ada")).unwrap();
}
