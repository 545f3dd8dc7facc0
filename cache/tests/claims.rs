//! Claims between threads and processes. Locks belong to open files, so that two threads which each open the cache
//! stand for two processes; the killed holder is a real one.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Fixture, claim, commit, key, names};
use ddpipe_cache::{Cache, CacheError, Lookup};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

/// Set for the child that is this test program again.
const ROOT: &str = "DDPIPE_CACHE_TEST_ROOT";

/// A process that claims `key("stage")` and then waits to be killed.
fn holder(root: &Path) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_process", "--nocapture"])
        .env(ROOT, root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.contains("claimed")));
    child
}

/// Not a test by itself: what [`holder`] starts.
#[test]
fn child_process() {
    let Ok(root) = std::env::var(ROOT) else { return };
    let cache = Cache::open(Path::new(&root)).unwrap();
    let _claim = match cache.lookup(key("stage"), "distill[seed=0]", &mut common::never).unwrap() {
        Lookup::Miss(claim) => claim,
        Lookup::Hit(_) => panic!("nothing was committed"),
    };
    println!("claimed");
    // Until killed, or until the parent is gone.
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

#[test]
fn one_of_many_processes_runs_a_stage_and_the_others_get_its_record() {
    let it = Fixture::new();
    let ran = AtomicUsize::new(0);
    for round in 0..5 {
        let key = key(&format!("round {round}"));
        ran.store(0, Ordering::SeqCst);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let cache = it.reopened();
                    match cache.lookup(key, "node", &mut |_| true).unwrap() {
                        Lookup::Miss(claim) => {
                            ran.fetch_add(1, Ordering::SeqCst);
                            commit(&cache, claim, "node", b"result");
                        }
                        Lookup::Hit(record) => assert_eq!(record.key, key),
                    }
                });
            }
        });
        assert_eq!(ran.load(Ordering::SeqCst), 1);
    }
    assert!(names(&it.cache.root().join("claims-v1")).is_empty());
}

#[test]
fn the_waiter_learns_for_whom_and_gets_the_record_afterwards() {
    let it = Fixture::new();
    let mine = claim(&it.cache, key("stage"));
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let tell = tell;
            it.reopened().lookup(key("stage"), "other", &mut |holder| tell.send(holder.clone()).is_ok()).unwrap()
        });
        let holder = told.recv().unwrap();
        assert_eq!((holder.pid, holder.node.as_str()), (Some(std::process::id()), "node"));
        assert_eq!(holder.host, ddpipe_cache::host());
        // Asked again and again while it lasts.
        told.recv().unwrap();
        let record = commit(&it.cache, mine, "node", b"result");
        assert!(matches!(waiting.join().unwrap(), Lookup::Hit(found) if *found == record));
    });
}

#[test]
fn a_waiter_can_give_up() {
    let it = Fixture::new();
    let _mine = claim(&it.cache, key("stage"));
    let mut asked = 0;
    let mut twice = |_: &ddpipe_cache::Holder| {
        asked += 1;
        asked < 2
    };
    let error = it.reopened().lookup(key("stage"), "other", &mut twice).unwrap_err();
    assert_eq!(asked, 2);
    let CacheError::Interrupted { holder } = &error else { panic!("{error}") };
    assert_eq!(holder.pid, Some(std::process::id()));
    assert!(error.to_string().contains("(node)"), "{error}");
}

#[test]
fn a_dropped_claim_leaves_nothing_behind() {
    let it = Fixture::new();
    drop(claim(&it.cache, key("stage")));
    assert!(names(&it.cache.root().join("claims-v1")).is_empty());
    assert_eq!(names(&it.cache.root().join("records-v1")), ["tmp"]);
    drop(claim(&it.cache, key("stage")));
}

#[test]
fn a_killed_process_gives_its_claim_back() {
    let it = Fixture::new();
    let mut child = holder(it.cache.root());
    let pid = child.id();
    let mut holders = Vec::new();
    let looked = it.cache.lookup(key("stage"), "mine", &mut |holder| {
        holders.push(holder.clone());
        if holders.len() == 2 {
            // SIGKILL: the holder has no chance to tidy up.
            child.kill().unwrap();
        }
        true
    });
    child.wait().unwrap();
    assert!(matches!(looked.unwrap(), Lookup::Miss(_)));
    assert_eq!((holders[0].pid, holders[0].node.as_str()), (Some(pid), "distill[seed=0]"));
}

#[test]
fn the_lock_file_of_a_killed_process_is_garbage() {
    let it = Fixture::new();
    let mut child = holder(it.cache.root());
    let options = ddpipe_cache::GcOptions { dry_run: false, ..Default::default() };
    let report = it.cache.gc(options).unwrap();
    assert_eq!((report.claimed, report.removed.len()), (1, 0));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(names(&it.cache.root().join("claims-v1")).len(), 1);
    let report = it.cache.gc(options).unwrap();
    assert_eq!((report.claimed, report.removed.len()), (0, 1));
    assert!(names(&it.cache.root().join("claims-v1")).is_empty());
}
