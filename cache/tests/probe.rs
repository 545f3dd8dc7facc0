//! What is found out about a store before leases there are relied on: stores that list late, read late, give nothing back or
//! take nothing.
#![allow(clippy::unwrap_used)]

#[path = "common/mod.rs"]
mod common;
#[path = "common/faulty.rs"]
mod faulty;

use common::{commit, in_memory, key};
use ddpipe_cache::shared::{Findings, Pace, Patience, Remote, StoreError};
use ddpipe_cache::{Cache, Claim, Lookup};
use faulty::{Fault, Faulty, Late};
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

const LATE: Duration = Duration::from_millis(150);
/// What a look writes, reads, lists and removes: sixteen writers, ten requests each.
const REQUESTS: usize = 160;

struct Lab {
    folder: TempDir,
    store: Arc<Faulty>,
}

impl Lab {
    fn new(late: Late) -> Self {
        let store = Faulty::new();
        store.be_late(late);
        Lab { folder: in_memory(), store }
    }

    fn cache(&self, name: &str) -> Cache {
        let pause = Duration::from_micros(50);
        let patience = Patience { first: pause, longest: pause, in_all: pause * 4, stubborn: false };
        let remote = Remote::over(self.store.clone(), patience).at_pace(Pace::every(LATE * 2)).tried_out();
        Cache::open_sharing(&self.folder.path().join(name), None, Some(remote)).unwrap()
    }

    fn left(&self) -> usize {
        self.store.inner.objects().keys().filter(|name| name.starts_with("probe-v1/")).count()
    }
}

fn claim(cache: &Cache, node: &str) -> Claim {
    common::claim(cache, key(node))
}

/// Both want the same key at the same time, each from a cache folder of its own; how many got it.
fn contend(lab: &Lab, round: usize) -> usize {
    let node = format!("distill-{round}");
    let wants = |name: &'static str| {
        let (cache, node) = (lab.cache(name), node.clone());
        move || match cache.lookup(key(&node), &node, &mut |_| false) {
            Ok(Lookup::Miss(claim)) => Some((cache, claim)),
            _ => None,
        }
    };
    let (ada, ben) = (wants("ada"), wants("ben"));
    let (ada, ben) = std::thread::scope(|scope| {
        let both = (scope.spawn(ada), scope.spawn(ben));
        (both.0.join().unwrap(), both.1.join().unwrap())
    });
    // Both claims live until here.
    usize::from(ada.is_some()) + usize::from(ben.is_some())
}

#[test]
fn late_listings_are_found_out_and_waited_for() {
    let late = Late { listings: LATE, ..Late::default() };
    let lab = Lab::new(late);
    let found = lab.cache("ada").remote_status().unwrap().written.unwrap();
    assert!(found.listings >= LATE && found.listings < LATE * 20, "{found:?}");
    assert_eq!(found.readings, Duration::ZERO);
    assert_eq!(found.wait(), found.listings * 2);
    assert_eq!(lab.left(), 0);
    for round in 0..3 {
        assert!(contend(&lab, round) <= 1, "never two");
    }
    // Believed to be up to date, the same store gives it to both.
    let lab = Lab::new(late);
    let mut two = 0;
    for round in 0..3 {
        let cache = |name: &str| {
            let remote = Remote::over(lab.store.clone(), Patience::default()).at_pace(Pace::every(LATE * 2));
            Cache::open_sharing(&lab.folder.path().join(name), None, Some(remote)).unwrap()
        };
        let (ada, ben) = (cache("ada"), cache("ben"));
        let node = format!("distill-{round}");
        let first = ada.lookup(key(&node), &node, &mut |_| false).unwrap();
        let second = ben.lookup(key(&node), &node, &mut |_| false);
        two += usize::from(matches!((&first, &second), (Lookup::Miss(_), Ok(Lookup::Miss(_)))));
    }
    assert_eq!(two, 3);
}

#[test]
fn what_was_found_out_is_kept_and_only_a_status_looks_again() {
    let lab = Lab::new(Late::default());
    let ada = lab.cache("ada");
    commit(&ada, claim(&ada, "distill"), "distill", b"images");
    ada.finish_sending(&mut || true).unwrap();
    let first = lab.store.count();
    let ada = lab.cache("ada");
    commit(&ada, claim(&ada, "evaluate"), "evaluate", b"numbers");
    ada.finish_sending(&mut || true).unwrap();
    let second = lab.store.count() - first;
    // And its mark is read and written.
    assert_eq!(first - second, REQUESTS + 2, "{first} {second}");
    let before = lab.store.count();
    assert_eq!(lab.cache("ada").remote_status().unwrap().written, Ok(Findings::default()));
    assert!(lab.store.count() - before >= REQUESTS);
    // What is none of ours is found out anew.
    let [kept] =
        fs::read_dir(lab.folder.path().join("ada/there-v1")).unwrap().flatten().collect::<Vec<_>>().try_into().unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let long = format!("{{\"secs\":{},\"nanos\":0}}", u64::MAX);
    for text in [
        "".into(),
        "{".into(),
        format!("{{\"made_unix\":{now},\"findings\":{{\"listings\":{long},\"readings\":{long}}}}}"),
    ] {
        fs::write(kept.path().join("probe.json"), text).unwrap();
        let (before, ada) = (lab.store.count(), lab.cache("ada"));
        drop(claim(&ada, "another"));
        assert!(lab.store.count() - before >= REQUESTS);
    }
    // A store that was emptied is another one.
    lab.store.inner.objects().clear();
    let (before, ada) = (lab.store.count(), lab.cache("ada"));
    commit(&ada, claim(&ada, "train"), "train", b"weights");
    assert!(lab.store.count() - before > REQUESTS);
}

#[test]
fn overwritten_objects_that_are_read_late_are_told() {
    let lab = Lab::new(Late { readings: LATE, ..Late::default() });
    let found = lab.cache("ada").remote_status().unwrap().written.unwrap();
    assert!(found.readings >= LATE / 2 && found.readings < LATE * 20, "{found:?}");
    assert_eq!((found.listings, found.wait()), (Duration::ZERO, Duration::ZERO));
}

#[test]
fn a_store_that_does_not_give_what_was_just_written_is_not_used() {
    let lab = Lab::new(Late { readings: LATE, at_first: true, ..Late::default() });
    let ada = lab.cache("ada");
    let found = ada.remote_status().unwrap().written;
    assert!(matches!(&found, Err(StoreError::Other(why)) if why.contains("cannot be read")), "{found:?}");
    let (before, begun) = (lab.store.count(), Instant::now());
    assert!(ada.remote_status().is_err(), "nothing more is asked");
    assert_eq!(lab.store.count(), before);
    assert!(begun.elapsed() < Duration::from_secs(5));
    // A run goes on without it.
    let ben = lab.cache("ben");
    commit(&ben, claim(&ben, "distill"), "distill", b"images");
    assert!(ben.remote_trouble().is_some_and(|error| error.to_string().contains("cannot be read")));
    assert_eq!(ben.finish_sending(&mut || true).unwrap().records, 1, "it waits for a store that can be used");
}

#[test]
fn a_store_that_takes_nothing_has_a_status_that_says_so() {
    let lab = Lab::new(Late::default());
    let ada = lab.cache("ada");
    commit(&ada, claim(&ada, "distill"), "distill", b"images");
    ada.finish_sending(&mut || true).unwrap();
    lab.store.fail(Fault::ReadOnly, 0, usize::MAX);
    let status = lab.cache("ben").remote_status().unwrap();
    assert_eq!((status.records.files, status.both), (1, 0));
    assert!(matches!(status.written, Err(StoreError::Denied(_))), "{status:?}");
}

#[test]
fn each_fault_while_a_store_is_tried_out_leaves_nothing_there() {
    for fault in [Fault::Unavailable, Fault::ReplyLost] {
        for at in (0..REQUESTS).step_by(7) {
            let lab = Lab::new(Late::default());
            lab.store.fail(fault, at, 1);
            let status = lab.cache("ada").remote_status().unwrap();
            assert_eq!(status.written, Ok(Findings::default()), "{fault:?} at {at}");
            assert_eq!(lab.left(), 0, "{fault:?} at {at}");
        }
    }
}
