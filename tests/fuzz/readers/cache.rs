//! The files of a cache: each is put in its place in a cache of this thread's own, and read as runs read it. A file that
//! carries a checksum is tried twice: as it is, when it must be the seed or be refused, and with a checksum that fits.

use super::with_folder;
use ddpipe_cache::{Cache, Digest, GcOptions, Key, Record};
use serde_json::{Map, Value};
use std::fs;
use std::path::{Path, PathBuf};

const PIPELINE: &str = "fuzz";
const NODE: &str = "a";

/// A cache, and the key of the record in the corpus.
fn with_cache(action: impl FnOnce(&Cache, Key)) {
    with_folder(|folder| {
        let cache = Cache::open(&folder.join("cache")).unwrap();
        action(&cache, Key::of(&[("kind".into(), "own.slow".into()), ("version".into(), "1".into())]));
        // What was damaged is kept for people; here it would fill the disk.
        let _ = fs::remove_dir_all(cache.root().join("damaged"));
    });
}

fn put(path: &Path, data: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, data).unwrap();
}

fn place(cache: &Cache, key: Key) -> PathBuf {
    let hex = key.hex();
    cache.root().join("records-v1").join(&hex[..2]).join(format!("{}.json", &hex[2..]))
}

/// The file of a record.
pub fn record(data: &[u8]) {
    with_cache(|cache, key| {
        put(&place(cache, key), data);
        if let Some(found) = cache.record(key).unwrap() {
            // Format 1 has no checksum, so of that one nothing is known.
            let seed: Record = serde_json::from_slice(include_bytes!("../../corpus/record/whole")).unwrap();
            assert!(found.format == 1 || found == seed, "accepted with other content: {found:?}");
        }
        read_everything(cache, key);
        let Ok(mut fields) = serde_json::from_slice::<Map<String, Value>>(data) else { return };
        fields.shift_remove("check");
        let check = Digest::of(&serde_json::to_vec(&fields).unwrap());
        fields.insert("check".into(), check.hex().into());
        put(&place(cache, key), &serde_json::to_vec_pretty(&fields).unwrap());
        if let Some(found) = cache.record(key).unwrap() {
            assert_eq!((found.key, Key::of(&found.description)), (key, key));
        }
        read_everything(cache, key);
    });
}

/// Whoever reads records: look-ups, indices, `gc` and `verify`.
fn read_everything(cache: &Cache, key: Key) {
    cache.peek(key).unwrap();
    let newest = cache.newest_record(PIPELINE, NODE).unwrap();
    assert!(newest.is_none_or(|newest| newest.key == key));
    cache.du().unwrap();
    // Records of a newer format make `gc` refuse its work.
    let _ = cache.gc(GcOptions { max_size: Some(0), keep_runs: 0, runs: None, dry_run: true });
    cache.verify().unwrap();
}

/// The remembered digests of files.
pub fn stat(data: &[u8]) {
    with_cache(|cache, _| {
        let file = cache.root().join("runs/file");
        put(&file, b"content");
        let path = cache.root().join(format!("stat-v2/{}.json", ddpipe_cache::host()));
        put(&path, data);
        let seen = cache.stat_cache().digest_of(&file, &[]).unwrap();
        assert_eq!(seen.digest, Digest::of(b"content"), "a damaged list was believed");
        let content = data.iter().position(|byte| *byte == b'\n').map_or(data, |line| &data[line + 1..]);
        put(&path, &[format!("{}\n", Digest::of(content)).as_bytes(), content].concat());
        let stats = cache.stat_cache();
        let _ = stats.digest_of(&file, &[]);
        stats.forget(&file);
        stats.save().unwrap();
    });
}

/// The newest key of a node.
pub fn latest(data: &[u8]) {
    with_cache(|cache, key| {
        put(&place(cache, key), include_bytes!("../../corpus/record/whole"));
        let name = Digest::of(format!("{PIPELINE}\0{NODE}").as_bytes());
        put(&cache.root().join("latest-v1/complete"), b"");
        put(&cache.root().join("latest-v1").join(name.hex()), data);
        // Whatever the index says, what is on record is found.
        assert_eq!(cache.newest_record(PIPELINE, NODE).unwrap().map(|record| record.key), Some(key));
    });
}

/// What a run reached, and the number of the last run.
pub fn reached(data: &[u8]) {
    with_cache(|cache, key| {
        let _ = fs::remove_dir_all(cache.root().join("runs"));
        fs::create_dir_all(cache.root().join("runs")).unwrap();
        put(&place(cache, key), include_bytes!("../../corpus/record/whole"));
        let run = cache.new_run(PIPELINE).unwrap();
        put(&run.path().join("reached.json"), data);
        cache.runs().unwrap();
        run.pin(&[key]).unwrap();
        assert!(cache.runs().unwrap().iter().any(|seen| seen.id == run.id() && seen.reached.contains(&key)));
        cache.gc(GcOptions { max_size: Some(0), keep_runs: 0, runs: None, dry_run: false }).unwrap();
        assert!(cache.record(key).unwrap().is_some(), "a run at work has reached it");
        put(&cache.root().join("runs/last"), data);
        cache.new_run(PIPELINE).unwrap();
    });
}
