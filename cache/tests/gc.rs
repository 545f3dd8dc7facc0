//! Garbage collection, runs and usage from outside.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Fixture, age, claim, commit, key, names, never};
use ddpipe_cache::{Cache, CacheError, Count, Garbage, GcOptions, GcReport, Key};
use std::collections::BTreeMap;
use std::fs;

/// Large against a record, so that sizes decide.
const BLOB: usize = 100_000;

fn blob(letter: u8) -> Vec<u8> {
    vec![letter; BLOB]
}

/// `a` was used four hours ago, `b` three, `c` two, `d` one.
fn four(it: &Fixture) -> [Key; 4] {
    [(b'a', 4), (b'b', 3), (b'c', 2), (b'd', 1)].map(|(letter, hours)| {
        let key = it.ran(&char::from(letter).to_string(), &blob(letter));
        it.age(key, &blob(letter), hours);
        key
    })
}

fn wet_all() -> GcOptions {
    GcOptions { dry_run: false, ..GcOptions::default() }
}

fn wet(max_size: Option<u64>) -> GcOptions {
    GcOptions { max_size, ..wet_all() }
}

fn room_for(blobs: usize) -> Option<u64> {
    Some((blobs * BLOB + BLOB / 2) as u64)
}

fn whats(report: &GcReport) -> BTreeMap<Garbage, usize> {
    let mut whats = BTreeMap::new();
    report.removed.iter().for_each(|removal| *whats.entry(removal.what).or_default() += 1);
    whats
}

fn present(it: &Fixture, keys: &[Key]) -> Vec<bool> {
    keys.iter().map(|key| it.cache.peek(*key).unwrap().is_some()).collect()
}

#[test]
fn what_was_used_longest_ago_goes_first() {
    let it = Fixture::new();
    let keys = four(&it);
    let report = it.cache.gc(wet(room_for(2))).unwrap();
    assert_eq!(whats(&report), [(Garbage::Blob, 2), (Garbage::Record, 2)].into());
    assert_eq!(present(&it, &keys), [false, false, true, true]);
    assert!(!it.blob_path(&blob(b'a')).exists() && !it.record_path(keys[0]).exists());
    assert_eq!(report.over, 0);
    assert_eq!(report.before - report.freed(), report.after);
    assert!(report.after <= room_for(2).unwrap());
    assert_eq!(it.cache.gc(wet(room_for(2))).unwrap().removed, []);
}

#[test]
fn a_hit_counts_as_use() {
    let it = Fixture::new();
    let keys = four(&it);
    it.cache.lookup(keys[0], "a", &mut never).unwrap();
    it.cache.gc(wet(room_for(2))).unwrap();
    assert_eq!(present(&it, &keys), [true, false, false, true]);
}

#[test]
fn a_dry_run_says_the_same_and_removes_nothing() {
    let it = Fixture::new();
    let keys = four(&it);
    fs::create_dir(it.cache.root().join("blobs-v0")).unwrap();
    it.cache.blobs().put_bytes(b"orphan").unwrap();
    age(&it.blob_path(b"orphan"), 2);
    let options = GcOptions { max_size: room_for(1), ..GcOptions::default() };
    assert!(options.dry_run);
    let dry = it.cache.gc(options).unwrap();
    assert_eq!(present(&it, &keys), [true; 4]);
    assert!(it.blob_path(b"orphan").exists() && it.cache.root().join("blobs-v0").exists());
    let wet = it.cache.gc(wet(room_for(1))).unwrap();
    assert_eq!(GcReport { dry_run: false, ..dry }, wet);
    assert_eq!(present(&it, &keys), [false, false, false, true]);
}

#[test]
fn without_a_size_only_garbage_goes() {
    let it = Fixture::new();
    let keys = four(&it);
    let root = it.cache.root();
    // Garbage: an old orphan, an old file aside, an older layout, what was damaged, checkpoints of a finished key.
    it.cache.blobs().put_bytes(b"old orphan").unwrap();
    age(&it.blob_path(b"old orphan"), 2);
    fs::write(root.join("blobs-v1/tmp/.tmpOld"), "half").unwrap();
    age(&root.join("blobs-v1/tmp/.tmpOld"), 2);
    fs::create_dir_all(root.join("records-v0/ab")).unwrap();
    fs::write(root.join("records-v0/ab/cd.json"), "{}").unwrap();
    fs::write(root.join("damaged/blob-x"), "x").unwrap();
    fs::write(it.cache.scratch(keys[3]).unwrap().join("step-1"), "state").unwrap();
    // Not garbage: what was written just now, a newer layout, checkpoints of an unfinished key, anything unknown.
    it.cache.blobs().put_bytes(b"new orphan").unwrap();
    fs::write(root.join("blobs-v1/tmp/.tmpNew"), "half").unwrap();
    fs::create_dir(root.join("blobs-v2")).unwrap();
    fs::write(root.join("notes.txt"), "mine").unwrap();
    fs::write(it.cache.scratch(key("unfinished")).unwrap().join("step-1"), "state").unwrap();

    let report = it.cache.gc(wet(None)).unwrap();
    let expected = [
        (Garbage::Blob, 1),
        (Garbage::Scratch, 1),
        (Garbage::Temporary, 1),
        (Garbage::Damaged, 1),
        (Garbage::OldVersion, 1),
    ];
    assert_eq!(whats(&report), expected.into());
    assert_eq!(present(&it, &keys), [true; 4]);
    assert!(!it.blob_path(b"old orphan").exists() && it.blob_path(b"new orphan").exists());
    assert_eq!(names(&root.join("blobs-v1/tmp")), [".tmpNew"]);
    assert!(!root.join("records-v0").exists() && root.join("blobs-v2").exists() && root.join("notes.txt").exists());
    assert_eq!(names(&root.join("scratch")), [key("unfinished").hex()]);
    assert!(names(&root.join("damaged")).is_empty());
}

#[test]
fn what_the_last_runs_of_each_pipeline_reach_stays() {
    let it = Fixture::new();
    let keys = four(&it);
    let pin = |pipeline: &str, key: Key| it.cache.new_run(pipeline).unwrap().pin(&[key]).unwrap();
    pin("one", keys[1]);
    pin("one", keys[0]);
    pin("two", keys[2]);
    // Runs that reached nothing do not push others out.
    drop(it.cache.new_run("one").unwrap());
    for (letter, hours) in [(b'a', 4), (b'b', 3), (b'c', 2), (b'd', 1)] {
        it.age(keys[usize::from(letter - b'a')], &blob(letter), hours);
    }
    let report = it.cache.gc(GcOptions { max_size: Some(0), keep_runs: 1, ..wet_all() }).unwrap();
    assert_eq!(present(&it, &keys), [true, false, true, false]);
    assert_eq!((report.pinned, report.over), (2, report.after));
    it.cache.gc(GcOptions { max_size: Some(0), keep_runs: 0, ..wet_all() }).unwrap();
    assert_eq!(present(&it, &keys), [false; 4]);
}

#[test]
fn what_a_run_at_work_reached_stays_whatever_the_options() {
    let it = Fixture::new();
    let keys = four(&it);
    let run = it.cache.new_run("one").unwrap();
    run.pin(&[keys[0]]).unwrap();
    run.pin(&[keys[1]]).unwrap();
    let everything = GcOptions { max_size: Some(0), keep_runs: 0, ..wet_all() };
    it.reopened().gc(everything).unwrap();
    assert_eq!(present(&it, &keys), [true, true, false, false]);
    drop(run);
    it.reopened().gc(everything).unwrap();
    assert_eq!(present(&it, &keys), [false; 4]);
}

#[test]
fn a_shared_blob_stays_with_its_last_record() {
    let it = Fixture::new();
    let shared = blob(b's');
    let old = it.ran("old", &shared);
    let new = it.ran("new", &shared);
    it.age(old, &shared, 4);
    it.age(new, &shared, 2);
    it.cache.new_run("one").unwrap().pin(&[new]).unwrap();
    let report = it.cache.gc(wet(Some(0))).unwrap();
    assert_eq!(whats(&report), [(Garbage::Record, 1)].into());
    assert!(it.cache.peek(new).unwrap().is_some());
}

#[test]
fn what_is_claimed_stays() {
    let it = Fixture::new();
    let keys = four(&it);
    let forced = it.cache.lookup_forced(keys[0], "a", &mut never).unwrap();
    let checkpoint = it.cache.scratch(keys[0]).unwrap().join("step-1");
    fs::write(&checkpoint, "state").unwrap();
    let unfinished = claim(&it.cache, key("unfinished"));
    fs::write(it.cache.scratch(unfinished.key()).unwrap().join("step-1"), "state").unwrap();
    for dry_run in [true, false] {
        let report = it.reopened().gc(GcOptions { dry_run, ..wet(Some(0)) }).unwrap();
        assert_eq!(report.claimed, 2);
        assert_eq!(whats(&report), [(Garbage::Blob, 3), (Garbage::Record, 3)].into());
    }
    assert_eq!(present(&it, &keys), [true, false, false, false]);
    assert!(checkpoint.exists());
    assert_eq!(names(&it.cache.root().join("claims-v1")).len(), 2);
    drop((forced, unfinished));
    it.cache.gc(wet(Some(0))).unwrap();
    assert_eq!(present(&it, &keys), [false; 4]);
    assert!(names(&it.cache.root().join("scratch")).is_empty());
}

/// A stage of many hours may write its first output long before its record.
#[test]
fn an_output_written_since_the_oldest_claim_waits_for_its_record() {
    let it = Fixture::new();
    let claim = claim(&it.cache, key("long"));
    age(&it.cache.root().join("claims-v1").join(format!("{}.lock", key("long"))), 9);
    it.cache.blobs().put_bytes(b"first output").unwrap();
    age(&it.blob_path(b"first output"), 8);
    it.cache.blobs().put_bytes(b"before the claim").unwrap();
    age(&it.blob_path(b"before the claim"), 10);
    it.reopened().gc(wet(None)).unwrap();
    assert!(it.blob_path(b"first output").exists() && !it.blob_path(b"before the claim").exists());
    commit(&it.cache, claim, "long", b"first output");
}

/// A blob that lies there already is as good as new to whoever puts it again.
#[test]
fn an_old_orphan_that_is_put_again_is_not_garbage() {
    let it = Fixture::new();
    it.cache.blobs().put_bytes(b"orphan").unwrap();
    age(&it.blob_path(b"orphan"), 2);
    it.reopened().blobs().put_bytes(b"orphan").unwrap();
    assert_eq!(it.cache.gc(wet(None)).unwrap().removed, []);
}

#[test]
fn gc_refuses_a_cache_whose_records_it_does_not_understand() {
    let it = Fixture::new();
    let key = it.ran("node", b"a");
    it.age(key, b"a", 2);
    it.make_newer(key);
    let error = it.cache.gc(wet(None)).unwrap_err();
    assert!(matches!(error, CacheError::NewerRecord { format: 3, .. }), "{error}");
    assert!(it.blob_path(b"a").exists());
}

#[test]
fn runs_are_listed_in_order_with_what_they_reached() {
    let it = Fixture::new();
    let keys = four(&it);
    let ids: Vec<String> = (0..20)
        .map(|index| {
            let run = it.cache.new_run(&format!("pipeline {index}")).unwrap();
            fs::write(run.path().join("events.jsonl"), "").unwrap();
            run.id().to_string()
        })
        .collect();
    let last = it.cache.new_run("last").unwrap();
    last.pin(&keys[..1]).unwrap();
    last.pin(&keys[1..2]).unwrap();
    fs::create_dir(it.cache.root().join("runs/not-a-run")).unwrap();

    let runs = it.cache.runs().unwrap();
    assert_eq!(runs.len(), 21);
    assert!(runs.iter().map(|run| &run.id).eq(ids.iter().chain([&last.id().to_string()])));
    assert_eq!(runs[7].pipeline, "pipeline 7");
    assert!(runs[7].running.is_none() && runs[20].running.as_ref().unwrap().pid == Some(std::process::id()));
    let mut reached = [keys[0], keys[1]];
    reached.sort();
    assert_eq!(runs[20].reached, reached);
}

#[test]
fn runs_that_reached_nothing_new_do_not_push_others_out() {
    let it = Fixture::new();
    let [old, new, ..] = four(&it);
    let pin = |keys: &[Key]| it.cache.new_run("one").unwrap().pin(keys).unwrap();
    pin(&[old]);
    pin(&[new]);
    pin(&[new]);
    pin(&[new]);
    it.age(old, &blob(b'a'), 4);
    it.age(new, &blob(b'b'), 3);
    it.cache.gc(GcOptions { max_size: Some(0), keep_runs: 2, ..wet_all() }).unwrap();
    assert_eq!(present(&it, &[old, new]), [true, true]);
    it.cache.gc(GcOptions { max_size: Some(0), keep_runs: 1, runs: Some(1), ..wet_all() }).unwrap();
    assert_eq!(present(&it, &[old, new]), [false, true]);
    assert_eq!(it.cache.runs().unwrap().len(), 3);
}

#[test]
fn what_a_kept_run_reached_stays_and_a_name_is_given_once() {
    let it = Fixture::new();
    let keys = four(&it);
    let pin = |key: Key| it.cache.new_run("one").unwrap().pin(&[key]).unwrap();
    pin(keys[0]);
    pin(keys[1]);
    let [old, new] = [0, 1].map(|at: usize| it.cache.runs().unwrap().swap_remove(at));
    it.cache.keep_run(&old, Some("figure")).unwrap();
    let error = it.reopened().keep_run(&new, Some("figure")).unwrap_err();
    assert!(matches!(&error, CacheError::NameTaken { run, .. } if *run == old.id), "{error}");
    let everything = GcOptions { max_size: Some(0), keep_runs: 0, runs: Some(0), ..wet_all() };
    for (letter, key) in [(b'a', keys[0]), (b'b', keys[1])] {
        it.age(key, &blob(letter), 4);
    }
    // A run that reached a record used it, whatever the time of the record's file says.
    for (run, name) in [&old, &new].into_iter().flat_map(|run| ["reached.json", "reached.log"].map(|name| (run, name)))
    {
        age(&run.path.join(name), 4);
    }
    let report = it.reopened().gc(everything).unwrap();
    assert_eq!(present(&it, &keys), [true, false, false, false]);
    let gone: Vec<&str> =
        report.removed.iter().filter_map(|removal| Some(removal.of.as_ref()?.node.as_str())).collect();
    assert_eq!(gone, ["b", "b", "c", "c", "d", "d"], "a record, and the blob that only it named");
    let runs = it.cache.runs().unwrap();
    assert_eq!((runs.len(), runs[0].name.as_deref()), (1, Some("figure")));
    assert!(matches!(it.cache.remove_run(&runs[0], false), Err(CacheError::RunKept { .. })));
    assert!(it.cache.release_run(&runs[0]).unwrap() && !it.cache.release_run(&runs[0]).unwrap());
    it.reopened().gc(everything).unwrap();
    assert_eq!(present(&it, &keys), [false; 4]);
    let run = it.cache.new_run("one").unwrap();
    let seen = it.cache.runs().unwrap().pop().unwrap();
    assert!(matches!(it.cache.remove_run(&seen, true), Err(CacheError::RunAtWork { .. })));
    drop(run);
    it.cache.remove_run(&seen, false).unwrap();
    assert_eq!(it.cache.runs().unwrap(), []);
}

#[test]
fn a_folder_of_somebody_else_is_not_made_a_cache() {
    let it = Fixture::new();
    let other = it.outside("other");
    fs::create_dir(&other).unwrap();
    fs::create_dir(other.join("lost+found")).unwrap();
    Cache::open(&other).unwrap();
    // Its tag did not come along.
    fs::remove_file(other.join("CACHEDIR.TAG")).unwrap();
    Cache::open(&other).unwrap();
    let project = it.outside("project");
    fs::create_dir(&project).unwrap();
    fs::write(project.join("notes.txt"), "").unwrap();
    // Of another program.
    fs::write(project.join("CACHEDIR.TAG"), "Signature: 8a477f597d28d172789f06886806bc55").unwrap();
    let error = Cache::open(&project).unwrap_err();
    assert!(error.to_string().contains("it holds notes.txt"), "{error}");
    assert_eq!(names(&project), ["CACHEDIR.TAG", "notes.txt"]);
}

#[test]
fn many_open_a_new_cache_at_once() {
    let it = Fixture::new();
    for round in 0..50 {
        let root = it.outside(&format!("new-{round}"));
        std::thread::scope(|scope| {
            let openings: Vec<_> = (0..4).map(|_| scope.spawn(|| Cache::open(&root).map(drop))).collect();
            openings.into_iter().for_each(|opening| opening.join().unwrap().unwrap());
        });
    }
}

#[test]
fn usage_is_counted_by_place_and_by_type() {
    let it = Fixture::new();
    let keys = four(&it);
    it.ran("same bytes", &blob(b'a'));
    it.cache.blobs().put_bytes(b"orphan").unwrap();
    fs::write(it.cache.scratch(key("unfinished")).unwrap().join("step-1"), "state").unwrap();
    fs::write(it.cache.root().join("damaged/x"), "xx").unwrap();
    fs::remove_file(it.blob_path(&blob(b'd'))).unwrap();
    let usage = it.cache.du().unwrap();
    assert_eq!(usage.blobs, Count { files: 4, bytes: 3 * BLOB as u64 + 6 });
    assert_eq!(usage.records.files, 5);
    let record = fs::metadata(it.record_path(keys[0])).unwrap().len();
    assert!(usage.records.bytes > 4 * record);
    assert_eq!(usage.scratch, Count { files: 1, bytes: 5 });
    assert_eq!((usage.runs, usage.damaged), (Count::default(), Count { files: 1, bytes: 2 }));
    assert_eq!(usage.by_type, [("dataset".to_string(), Count { files: 3, bytes: 3 * BLOB as u64 })].into());
    assert_eq!(usage.total().files, 4 + 5 + 1 + 1);
}

#[test]
fn a_cache_beside_goes_with_its_owner_or_with_gc() {
    let it = Fixture::new();
    let folder = {
        let beside = it.cache.beside("a test").unwrap();
        let folder = beside.cache().root().to_path_buf();
        beside.cache().blobs().put_bytes(b"compared").unwrap();
        age(&folder, 2);
        assert_eq!(it.cache.gc(wet(None)).unwrap().removed, [], "somebody works there");
        folder
    };
    assert!(!folder.exists());
    // As a killed process leaves it.
    fs::create_dir_all(folder.join("blobs-v1")).unwrap();
    assert_eq!(it.cache.gc(wet(None)).unwrap().removed, [], "it is new");
    age(&folder, 2);
    assert_eq!(it.cache.gc(wet(None)).unwrap().removed.len(), 1);
    assert!(!folder.exists());
}
