//! The cache in which the harnesses do something, and what has to hold in it afterwards.

use super::deeds::{BEFORE, NEW, OTHER, commit, content, described, digests, key};
use crate::{Cache, Digest, Key};
use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// A cache at `root` with three records, a run that pins one of them, and all that `gc` removes.
pub fn furnish(root: &Path) -> Cache {
    let cache = Cache::open(root).unwrap();
    let run = cache.new_run("pipeline").unwrap();
    for node in BEFORE {
        commit(&cache, node, false).unwrap();
    }
    run.pin(&[key("pinned")]).unwrap();
    run.settle().unwrap();
    drop(run);
    let orphan = cache.blobs().put_bytes(b"an orphan").unwrap().0;
    let left = [
        cache.blobs().path(orphan),
        root.join("blobs-v1/tmp/left"),
        root.join(format!("claims-v1/{}.lock", key("killed"))),
        root.join("damaged/blob"),
        cache.scratch(key("idle")).unwrap().join("step-400"),
        cache.scratch(key("unfinished")).unwrap().join("step-400"),
    ];
    for path in &left {
        if !path.exists() {
            fs::write(path, "left").unwrap();
        }
        age(path);
    }
    for node in BEFORE {
        content(node).iter().for_each(|bytes| age(&cache.blobs().path(Digest::of(bytes))));
        age(&cache.layout().record(key(node)));
    }
    cache
}

pub fn age(path: &Path) {
    File::open(path).unwrap().set_modified(SystemTime::now() - Duration::from_secs(9 * 3600)).unwrap();
}

/// What holds in every cache: verification finds nothing, what is on record has the right bytes, and a run that begins is
/// the newest. The nodes `whole` are on record.
pub fn examine(root: &Path, whole: &[Key]) -> Result<(), String> {
    let cache = Cache::open(root).map_err(|error| error.to_string())?;
    let mut seen = Vec::new();
    for node in BEFORE.iter().chain(&[NEW, OTHER]) {
        let Some(record) = cache.record(key(node)).map_err(|error| error.to_string())? else { continue };
        let described = cache.record_described(key(node), &mut described(node)).map_err(|error| error.to_string())?;
        if described.as_ref() != Some(&record) {
            return Err(format!("the index says something else of {node}: {described:?}"));
        }
        for (digest, bytes) in digests(&record).into_iter().zip(content(node)) {
            match cache.blobs().read_verified(digest) {
                Ok(found) if found == bytes => {}
                Ok(_) => return Err(format!("{node} has wrong bytes")),
                Err(error) => return Err(format!("{node} is on record: {error}")),
            }
        }
        seen.push(key(node));
        let newest = cache.newest_record("pipeline", node).map_err(|error| error.to_string())?;
        if newest.is_some_and(|newest| newest.node != *node) {
            return Err(format!("the newest record of {node} is of another node"));
        }
    }
    let run = cache.new_run("other").map_err(|error| error.to_string())?;
    let runs = cache.runs().map_err(|error| error.to_string())?;
    if runs.last().is_none_or(|newest| newest.id != run.id()) {
        return Err(format!("{} is not the newest of {runs:?}", run.id()));
    }
    let begun = run.path().to_path_buf();
    drop(run);
    fs::remove_dir_all(begun).map_err(|error| error.to_string())?;
    if let Some(key) = whole.iter().find(|key| !seen.contains(key)) {
        return Err(format!("the record of {key} is lost"));
    }
    let report = cache.verify().map_err(|error| error.to_string())?;
    if report.is_clean() { Ok(()) } else { Err(format!("verification found {report:?}")) }
}
