//! Races: garbage collection in a loop beside commits and reads, many claimers of few keys, and processes that are killed
//! while they collect or commit. Locks belong to open files, so that threads which each open the cache stand for processes;
//! those that are killed are real ones.

use super::deeds::{BEFORE, Deed, commit, content, digests, key};
use super::scene::{examine, furnish};
use super::{Chance, folder, soak};
use crate::{Cache, CacheError, Digest, GcOptions};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Tells the test program that it is the child, and for which cache.
const ROOT: &str = "DDPIPE_CACHE_RACES_ROOT";

/// How long each race goes on.
fn seconds() -> Duration {
    Duration::from_secs(3 * soak() as u64)
}

fn collect(cache: &Cache) -> Result<(), CacheError> {
    cache.gc(GcOptions { max_size: Some(0), keep_runs: 1, dry_run: false, ..GcOptions::default() }).map(drop)
}

#[test]
fn collecting_garbage_beside_commits_and_reads_loses_nothing() {
    let folder = folder();
    let root = &folder.path().join("cache");
    furnish(root);
    let (collected, committed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    collect(&Cache::open(root).unwrap()).unwrap();
                    collected.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for seed in 1..=3 {
            let (over, committed) = (&over, &committed);
            scope.spawn(move || {
                let mut chance = Chance(seed);
                while !over.load(Ordering::Relaxed) {
                    let cache = Cache::open(root).unwrap();
                    let node = BEFORE[chance.below(BEFORE.len())];
                    let made = commit(&cache, node, chance.below(4) == 0).unwrap();
                    assert_eq!(made, content(node).map(|bytes| Digest::of(&bytes)));
                    for (digest, bytes) in made.into_iter().zip(content(node)) {
                        match cache.blobs().read_verified(digest) {
                            Ok(found) => assert!(found == bytes),
                            // Nothing pins it, so it may go as soon as it is there.
                            Err(CacheError::Missing { .. }) => assert_ne!(node, "pinned"),
                            Err(error) => panic!("{error}"),
                        }
                    }
                    committed.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        thread::sleep(seconds());
        over.store(true, Ordering::Relaxed);
    });
    examine(root, &[key("pinned")]).unwrap();
    println!("races: {collected:?} collections beside {committed:?} commits and reads, 0 lost, 0 wrong");
}

#[test]
fn many_claimers_of_few_keys_compute_each_once() {
    let rounds = 10 * soak();
    for _ in 0..rounds {
        let folder = folder();
        let root = &folder.path().join("cache");
        Cache::open(root).unwrap();
        let computed = [const { AtomicUsize::new(0) }; 3];
        thread::scope(|scope| {
            for claimer in 0..12 {
                let computed = &computed;
                scope.spawn(move || {
                    let cache = Cache::open(root).unwrap();
                    for turn in 0..BEFORE.len() {
                        let which = (claimer + turn) % BEFORE.len();
                        let claimed = cache.lookup(key(BEFORE[which]), "node", &mut |_| true).unwrap();
                        if let crate::Lookup::Miss(claim) = claimed {
                            computed[which].fetch_add(1, Ordering::SeqCst);
                            super::deeds::finish(&cache, claim, BEFORE[which]).unwrap();
                        }
                    }
                });
            }
        });
        assert!(computed.iter().all(|count| count.load(Ordering::SeqCst) == 1), "{computed:?}");
        examine(root, &BEFORE.map(key)).unwrap();
    }
    println!("races: {rounds} rounds of 12 claimers of 3 keys, each computed once");
}

/// Not a test by itself: the process that is killed. It collects and commits until then, or for a while if the
/// parent was killed itself.
#[test]
fn child_process() {
    let Ok(root) = std::env::var(ROOT) else { return };
    let root = Path::new(&root);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(20) {
        for deed in [Deed::Commit, Deed::Force, Deed::Pin, Deed::Checkpoint, Deed::Collect] {
            deed.run(root).unwrap();
        }
    }
}

#[test]
fn a_process_killed_while_it_collects_or_commits_leaves_a_whole_cache() {
    let folder = folder();
    let root = folder.path().join("cache");
    furnish(&root);
    let begun = Instant::now();
    let mut kills = 0;
    let mut chance = Chance(13);
    while begun.elapsed() < seconds() {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "harness::races::child_process"])
            .env(ROOT, &root)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_micros(20_000 + chance.below(80_000) as u64));
        child.kill().unwrap();
        child.wait().unwrap();
        examine(&root, &[key("pinned")]).unwrap();
        let cache = Cache::open(&root).unwrap();
        assert_eq!(commit(&cache, "idle", false).unwrap(), content("idle").map(|bytes| Digest::of(&bytes)));
        assert_eq!(digests(&cache.peek(key("pinned")).unwrap().unwrap()).len(), 2);
        kills += 1;
    }
    println!("races: {kills} processes killed at work, 0 lost, 0 wrong");
}
