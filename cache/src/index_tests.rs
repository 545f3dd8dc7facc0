//! Tests of the index: what it saves, and that nothing is taken from it that is not so any more.

#![allow(clippy::unwrap_used)]

use crate::harness::deeds::{commit, described, key};
use crate::harness::watch::{Class, Fault, How, with_fault};
use crate::{Cache, CacheError, Record};
use indexmap::IndexMap;
use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

const NODES: [&str; 3] = ["one", "two", "three"];

/// A time at which what these tests wrote is no longer new.
fn later() -> SystemTime {
    SystemTime::now() + Duration::from_secs(10)
}

fn look_up(cache: &Cache, node: &str) -> Result<Option<Record>, CacheError> {
    cache.look_up(key(node), &mut described(node), &later)
}

/// A cache with a record of each node, and an index that knows them.
fn cache() -> (TempDir, Cache) {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path()).unwrap();
    for node in NODES {
        commit(&cache, node, false).unwrap();
        look_up(&cache, node).unwrap().unwrap();
    }
    cache.save_index();
    let cache = Cache::open(folder.path()).unwrap();
    (folder, cache)
}

fn index(folder: &Path) -> std::path::PathBuf {
    folder.join("index-v1/records")
}

/// Does it where no file can be opened; whether it tried to.
fn without_files<T>(act: impl FnOnce() -> T) -> (T, bool) {
    with_fault(Fault { class: Class::Open, nth: 1, errno: 5, how: How::FromThenOn }, act)
}

/// Whether the records are known without opening their files. The index is read before.
fn are_known(cache: &Cache, nodes: &[&str]) -> bool {
    let _ = look_up(cache, "nobody");
    cache.index().find(key("nobody"), &mut Vec::new(), &crate::Stamp::seen(&fs::metadata("/").unwrap()));
    let (found, opened) = without_files(|| nodes.iter().all(|node| look_up(cache, node).is_ok_and(|it| it.is_some())));
    found && !opened
}

#[test]
fn a_record_in_the_index_is_the_record_and_its_file_is_not_opened() {
    let (_folder, cache) = cache();
    assert!(are_known(&cache, &NODES));
    for node in NODES {
        assert_eq!(look_up(&cache, node).unwrap(), cache.record(key(node)).unwrap());
    }
}

#[test]
fn everything_that_a_record_says_comes_back() {
    let (_folder, cache) = cache();
    let mut record = cache.record(key("one")).unwrap().unwrap();
    record.asks = IndexMap::from([("results".to_string(), vec![3, 1])]);
    record.metrics =
        [("a", f64::NAN), ("b", -0.0), ("c", f64::MAX)].map(|(name, value)| (name.to_string(), value)).into();
    record.measured = IndexMap::from([("seconds".to_string(), f64::INFINITY)]);
    record.provenance.peak_memory = Some(u64::MAX);
    let circumstances = std::sync::Arc::make_mut(&mut record.provenance.circumstances);
    circumstances.note = vec!["ein Wort ü".into()];
    circumstances.commit = Some(crate::Commit { hash: "ab".into(), dirty: true });
    let seen = crate::SourceSeen {
        path: "/a b".into(),
        digest: crate::Digest::of(b"x"),
        md5: None,
        sha256: Some("0".into()),
        verified: true,
    };
    record.sources = IndexMap::from([("mnist/a".to_string(), seen)]);
    let stamp = crate::Stamp::seen(&fs::metadata("/").unwrap());
    cache.index().learn(&record, stamp.clone());
    let found = cache.index().find(key("one"), &mut described("one"), &stamp).unwrap();
    // Not equal to itself, as it has a NaN.
    let text = |record: &Record| serde_json::to_string(record).unwrap();
    assert_eq!(text(&found), text(&record));
}

#[test]
fn an_index_that_is_gone_cut_damaged_or_of_another_form_is_made_again() {
    let (folder, cache) = cache();
    let path = index(folder.path());
    let whole = fs::read(&path).unwrap();
    drop(cache);
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 4;
        Some(bytes)
    };
    let cuts = [0, 1, 15, 40, whole.len() / 2, whole.len() - 1].map(|length| Some(whole[..length].to_vec()));
    let flips = (0..whole.len()).step_by(7).map(flipped);
    let other = [None, Some(b"ddpipe index 2\n".to_vec()), Some([&whole[..], b"more"].concat())];
    for content in cuts.into_iter().chain(flips).chain(other) {
        match &content {
            Some(bytes) => fs::write(&path, bytes).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let cache = Cache::open(folder.path()).unwrap();
        assert!(!are_known(&cache, &NODES[..1]));
        for node in NODES {
            assert_eq!(look_up(&cache, node).unwrap(), cache.record(key(node)).unwrap());
        }
        cache.save_index();
        assert!(are_known(&Cache::open(folder.path()).unwrap(), &NODES));
    }
}

#[test]
fn a_record_that_was_edited_in_place_is_noticed_whatever_its_time_says() {
    let (_folder, cache) = cache();
    let path = cache.layout().record(key("two"));
    let (before, text) = (fs::metadata(&path).unwrap().modified().unwrap(), fs::read_to_string(&path).unwrap());
    fs::write(&path, text.replace("0.5", "0.9")).unwrap();
    File::open(&path).unwrap().set_modified(before).unwrap();
    assert_eq!(look_up(&cache, "two").unwrap(), None, "its checksum does not fit");
    assert!(!path.exists());
    assert!(are_known(&cache, &["one", "three"]));
}

#[test]
fn records_that_others_add_remove_or_replace_are_noticed() {
    let (folder, cache) = cache();
    assert!(are_known(&cache, &NODES));
    let other = Cache::open(folder.path()).unwrap();
    commit(&other, "new", false).unwrap();
    assert!(look_up(&cache, "new").unwrap().is_some());
    fs::remove_file(other.layout().record(key("one"))).unwrap();
    assert_eq!(look_up(&cache, "one").unwrap(), None);
    let mut replaced = other.record(key("two")).unwrap().unwrap();
    replaced.metrics["accuracy"] = 0.25;
    crate::record::write(other.layout(), &replaced).unwrap();
    assert_eq!(look_up(&cache, "two").unwrap(), Some(replaced));
    assert!(are_known(&cache, &["three"]));
}

#[test]
fn what_changed_a_moment_ago_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path()).unwrap();
    commit(&cache, "one", false).unwrap();
    let now = || cache.look_up(key("one"), &mut described("one"), &SystemTime::now);
    assert!(now().unwrap().is_some());
    let (found, opened) = without_files(now);
    assert!(opened && found.is_err(), "a change within the same time stamp would not be seen");
    // A clock that stands before the times of the files tells nothing either.
    let early = SystemTime::now() - Duration::from_secs(3600);
    assert!(cache.look_up(key("one"), &mut described("one"), &|| early).unwrap().is_some());
    assert!(without_files(now).1);
}

#[test]
fn a_collection_that_removes_records_removes_the_index() {
    let (folder, cache) = cache();
    let options = crate::GcOptions { max_size: Some(0), keep_runs: 0, dry_run: false, ..Default::default() };
    cache.gc(options).unwrap();
    assert!(!index(folder.path()).exists());
    assert_eq!(look_up(&cache, "one").unwrap(), None);
}

#[test]
fn a_collection_since_one_looked_is_known_also_while_it_is_at_work() {
    let (_folder, cache) = cache();
    let before = cache.collections().unwrap();
    assert!(cache.collections().unwrap().none_since(&before));
    let collecting = cache.begin_collecting().unwrap();
    assert!(!cache.collections().unwrap().none_since(&before));
    let during = cache.collections().unwrap();
    assert!(!cache.collections().unwrap().none_since(&during));
    drop(collecting);
    assert!(!cache.collections().unwrap().none_since(&before));
    let after = cache.collections().unwrap();
    assert!(!cache.collections().unwrap().none_since(&after), "another may have followed within the same time stamp");
}

#[test]
fn a_pin_beside_a_collection_renews_the_record_and_another_writes_no_record() {
    let (_folder, cache) = cache();
    let path = cache.layout().record(key("one"));
    let old = SystemTime::now() - Duration::from_secs(9 * 3600);
    let dated = || fs::metadata(&path).unwrap().modified().unwrap();
    File::open(&path).unwrap().set_modified(old).unwrap();
    let run = cache.new_run("pipeline").unwrap();
    run.pin(&[key("one")]).unwrap();
    assert_eq!(dated(), old);
    let collecting = cache.begin_collecting().unwrap();
    cache.new_run("pipeline").unwrap().pin(&[key("one")]).unwrap();
    assert!(dated() > old);
    drop(collecting);
    // Its last use counts all the same, and outlives the folder of the run.
    File::open(&path).unwrap().set_modified(old).unwrap();
    drop(run);
    let seen = cache.runs().unwrap();
    assert!(seen.iter().all(|run| run.reached == [key("one")]));
    seen.iter().for_each(|run| cache.remove_run(run, true).unwrap());
    assert!(dated() > old);
}

#[test]
fn what_a_run_reached_is_seen_before_and_after_it_settles_and_a_damaged_line_costs_one_pin() {
    let (_folder, cache) = cache();
    let run = cache.new_run("pipeline").unwrap();
    let reached = || cache.runs().unwrap().remove(0).reached.len();
    for (index, node) in NODES.iter().enumerate() {
        run.pin(&[key(node)]).unwrap();
        assert_eq!(reached(), index + 1);
    }
    let path = run.path().join("reached.log");
    let whole = fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(5) {
        let mut bytes = whole.clone();
        bytes[at] ^= 2;
        fs::write(&path, bytes).unwrap();
        assert!((1..3).contains(&reached()) || whole[at] == b'\n', "{at}");
    }
    fs::write(&path, &whole[..whole.len() - 9]).unwrap();
    assert_eq!(reached(), 2, "a line that was cut");
    run.settle().unwrap();
    assert_eq!(reached(), 3);
    assert!(!path.exists());
}
