//! What the harnesses let the cache do, told as one would use it.

use super::watch::report;
use crate::aside::{Aside, ORDINARY};
use crate::{Cache, CacheError, Claim, Digest, FORMAT, GcOptions, Key, Lookup, Output, Provenance, Record, commit_all};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// One thing that a process does to a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Opens the cache, which may be the first time.
    Open,
    /// Finds no record, computes, and commits.
    Commit,
    /// The same for two nodes, whose outputs and records are flushed together.
    CommitAll,
    /// Runs again what is on record, and replaces the record.
    Force,
    /// Takes a claim and gives it back.
    Claim,
    /// Reads a result that is on record.
    Hit,
    /// Removes whatever may go.
    Collect,
    /// Saves a checkpoint twice.
    Checkpoint,
    /// Begins two runs, one after the other, which pin.
    Pin,
    /// Reads a file from outside and remembers its digest.
    Remember,
    /// Reads a record and keeps what it says in the index.
    Learn,
}

pub const DEEDS: [Deed; 11] = [
    Deed::Open,
    Deed::Commit,
    Deed::CommitAll,
    Deed::Force,
    Deed::Claim,
    Deed::Hit,
    Deed::Collect,
    Deed::Checkpoint,
    Deed::Pin,
    Deed::Remember,
    Deed::Learn,
];

/// Nodes that are on record before any deed; the first is pinned by a run.
pub const BEFORE: [&str; 3] = ["pinned", "idle", "old"];
/// The node that [`Deed::Commit`] commits.
pub const NEW: &str = "new";
/// One more that [`Deed::CommitAll`] commits.
pub const OTHER: &str = "other";

/// The key of the node of this name.
pub fn key(node: &str) -> Key {
    Key::of(&described(node))
}

pub fn described(node: &str) -> Vec<(String, String)> {
    vec![("kind".into(), "test".into()), ("node".into(), node.into())]
}

/// The two outputs of a node: one small and its own, one shared by all.
pub fn content(node: &str) -> [Vec<u8>; 2] {
    [node.bytes().cycle().take(1500).collect(), b"what all nodes share".repeat(20)]
}

pub fn commit(cache: &Cache, node: &str, force: bool) -> Result<Vec<Digest>, CacheError> {
    let key = key(node);
    let claim = if force {
        cache.lookup_forced(key, node, &mut |_| true)?
    } else {
        match cache.lookup(key, node, &mut |_| true)? {
            Lookup::Miss(claim) => claim,
            Lookup::Hit(record) => return Ok(digests(&record)),
        }
    };
    finish(cache, claim, node)
}

/// Computes a node under its claim: stores the outputs and commits.
pub fn finish(cache: &Cache, claim: Claim, node: &str) -> Result<Vec<Digest>, CacheError> {
    let [own, shared] = content(node);
    let blobs = cache.blobs();
    let own = blobs.put_bytes(&own)?;
    let digest = Digest::of(&shared);
    let shared = (digest, blobs.put(digest, &mut &shared[..])?);
    let record = claim.commit(record(node, [own, shared]))?.record;
    report(key(node));
    Ok(digests(&record))
}

/// Computes two nodes.
fn commit_together(cache: &Cache) -> Result<Vec<Digest>, CacheError> {
    let nodes = [NEW, OTHER].map(String::from);
    for committed in commit_all(offered(cache, &nodes)?) {
        report(committed?.record.key);
    }
    Ok(nodes.iter().flat_map(|node| content(node)).map(|bytes| Digest::of(&bytes)).collect())
}

/// Stores the outputs of those of these nodes that are not on record, all together; their claims and records.
pub fn offered(cache: &Cache, nodes: &[String]) -> Result<Vec<(Claim, Record)>, CacheError> {
    let (mut offered, mut staged) = (Vec::new(), Vec::new());
    for node in nodes {
        let outputs = content(node).map(|bytes| (Digest::of(&bytes), bytes.len() as u64));
        if let Lookup::Miss(claim) = cache.lookup(key(node), node, &mut |_| true)? {
            for bytes in content(node) {
                staged.push(cache.blobs().stage(Digest::of(&bytes), &mut &bytes[..])?);
            }
            offered.push((claim, record(node, outputs)));
        }
    }
    cache.blobs().publish_all(staged).into_iter().collect::<Result<Vec<()>, _>>()?;
    Ok(offered)
}

pub fn record(node: &str, outputs: [(Digest, u64); 2]) -> Record {
    let output = |(digest, bytes)| Output { digest, bytes, artifact_type: "dataset".into() };
    Record {
        format: FORMAT,
        key: key(node),
        pipeline: "pipeline".into(),
        node: node.into(),
        description: described(node),
        outputs: ["own", "shared"].map(String::from).into_iter().zip(outputs.map(output)).collect(),
        asks: Default::default(),
        metrics: [("accuracy".to_string(), 0.5)].into_iter().collect(),
        measured: Default::default(),
        sources: Default::default(),
        provenance: Provenance { started_unix: 1.0e9, ..Provenance::default() },
    }
}

pub fn digests(record: &Record) -> Vec<Digest> {
    record.outputs.values().map(|output| output.digest).collect()
}

/// A file outside the cache, which [`Deed::Remember`] reads.
pub fn outside(root: &Path) -> PathBuf {
    root.with_extension("source")
}

impl Deed {
    /// Does it, as a process that opens the cache for it; the digests that came of it.
    pub fn run(self, root: &Path) -> Result<Vec<Digest>, CacheError> {
        let cache = Cache::open(root)?;
        match self {
            Deed::Open => Ok(Vec::new()),
            Deed::Commit => commit(&cache, NEW, false),
            Deed::CommitAll => commit_together(&cache),
            Deed::Force => commit(&cache, "idle", true),
            Deed::Claim => cache.lookup(key(NEW), NEW, &mut |_| true).map(|_| Vec::new()),
            Deed::Hit => {
                let Lookup::Hit(record) = cache.lookup(key("idle"), "idle", &mut |_| true)? else {
                    return Ok(Vec::new());
                };
                for digest in digests(&record) {
                    cache.blobs().verify_once(digest)?;
                    assert_eq!(Digest::of(&cache.blobs().read_verified(digest)?), digest);
                }
                cache.newest_record("pipeline", "idle")?;
                Ok(digests(&record))
            }
            Deed::Collect => {
                let options = GcOptions { max_size: Some(0), keep_runs: 1, dry_run: false, ..GcOptions::default() };
                cache.gc(options).map(|_| Vec::new())
            }
            Deed::Checkpoint => {
                let scratch = cache.scratch(key(NEW))?;
                for step in ["step 1", "step 2"] {
                    let mut aside = Aside::new(&scratch)?;
                    aside.write(step.as_bytes())?;
                    aside.publish(&scratch.join("checkpoint"), ORDINARY)?;
                }
                Ok(vec![Digest::of_file(&scratch.join("checkpoint")).map_err(CacheError::io("read", &scratch))?.0])
            }
            Deed::Pin => {
                for node in ["idle", "old"] {
                    let run = cache.new_run("other")?;
                    run.pin(&[key("pinned")])?;
                    run.pin(&[key(node)])?;
                }
                Ok(Vec::new())
            }
            Deed::Remember => {
                let stat = cache.stat_cache();
                let later = SystemTime::now() + Duration::from_secs(10);
                let seen = stat.digest_at(&outside(root), &[], later)?;
                stat.save()?;
                Ok(vec![seen.digest])
            }
            Deed::Learn => {
                let later = SystemTime::now() + Duration::from_secs(10);
                let found = cache.look_up(key("idle"), &mut described("idle"), &|| later)?;
                cache.save_index();
                Ok(found.map(|record| digests(&record)).unwrap_or_default())
            }
        }
    }
}
