//! A cache in a temporary folder, and the few steps that the tests are told in.
#![allow(clippy::unwrap_used, dead_code)]

use ddpipe_cache::{Cache, Claim, Digest, FORMAT, Holder, Key, Lookup, Output, Provenance, Record};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

pub const HOUR: Duration = Duration::from_secs(3600);

pub struct Fixture {
    folder: TempDir,
    pub cache: Cache,
}

impl Fixture {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(&folder.path().join("cache")).unwrap();
        Fixture { folder, cache }
    }

    /// The same folder as another process would open it.
    pub fn reopened(&self) -> Cache {
        Cache::open(self.cache.root()).unwrap()
    }

    /// A path outside the cache.
    pub fn outside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a stage that has one output: look up, put, commit.
    pub fn ran(&self, node: &str, content: &[u8]) -> Key {
        let key = key(node);
        commit(&self.cache, claim(&self.cache, key), node, content);
        key
    }

    pub fn record_path(&self, key: Key) -> PathBuf {
        let hex = key.hex();
        self.cache.root().join("records-v1").join(&hex[..2]).join(format!("{}.json", &hex[2..]))
    }

    /// Writes a record of the next format in a record's place: whole, with the checksum that every format has.
    pub fn make_newer(&self, key: Key) {
        let path = self.record_path(key);
        let mut fields: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        fields.shift_remove("check");
        fields.insert("format".into(), (FORMAT + 1).into());
        fields.insert("carbon".into(), serde_json::json!({ "grams": 3 }));
        reseal(&path, fields);
    }

    pub fn blob_path(&self, content: &[u8]) -> PathBuf {
        self.cache.blobs().path(Digest::of(content))
    }

    /// As if the record and its blob had been used last so many hours ago.
    pub fn age(&self, key: Key, content: &[u8], hours: u32) {
        age(&self.record_path(key), hours);
        age(&self.blob_path(content), hours);
    }
}

/// The key of the action of this name.
pub fn key(name: &str) -> Key {
    let key = Key::of(&described(name));
    NAMES.lock().unwrap().insert(key, name.to_string());
    key
}

fn described(name: &str) -> Vec<(String, String)> {
    vec![("kind".into(), "test".into()), ("param name".into(), name.into())]
}

/// What the tests' keys were made of.
static NAMES: Mutex<BTreeMap<Key, String>> = Mutex::new(BTreeMap::new());

/// Writes a record's fields with their checksum.
pub fn reseal(path: &Path, mut fields: serde_json::Map<String, serde_json::Value>) {
    let check = Digest::of(&serde_json::to_vec(&fields).unwrap());
    fields.insert("check".into(), check.hex().into());
    fs::write(path, serde_json::to_vec_pretty(&fields).unwrap()).unwrap();
}

/// An empty folder, in memory where the system has such a place: flushing costs nothing there.
pub fn in_memory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

pub fn never(holder: &Holder) -> bool {
    panic!("waited for {holder}")
}

pub fn claim(cache: &Cache, key: Key) -> Claim {
    match cache.lookup(key, "node", &mut never).unwrap() {
        Lookup::Miss(claim) => claim,
        Lookup::Hit(record) => panic!("{} is there already", record.key),
    }
}

pub fn commit(cache: &Cache, claim: Claim, node: &str, content: &[u8]) -> Record {
    let (digest, bytes) = cache.blobs().put_bytes(content).unwrap();
    let record = record(claim.key(), node, digest, bytes);
    claim.commit(record).unwrap().record
}

pub fn record(key: Key, node: &str, digest: Digest, bytes: u64) -> Record {
    let output = Output { digest, bytes, artifact_type: "dataset".into() };
    Record {
        format: FORMAT,
        key,
        pipeline: "pipeline".into(),
        node: node.into(),
        description: described(&NAMES.lock().unwrap()[&key]),
        outputs: [("out".to_string(), output)].into_iter().collect(),
        asks: Default::default(),
        metrics: Default::default(),
        measured: Default::default(),
        sources: Default::default(),
        provenance: Provenance {
            started_unix: SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64(),
            ..Provenance::default()
        },
    }
}

pub fn age(path: &Path, hours: u32) {
    File::open(path).unwrap().set_modified(SystemTime::now() - HOUR * hours).unwrap();
}

/// Replaces one byte of a read-only file in place.
pub fn flip_bit(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes[0] ^= 1;
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

/// The names in a folder, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
