//! The digest of a source file that is not there: the pinned one, or the one that it had when it was read last. With it,
//! what was made of the file is found in the cache without the file.

use super::{SourceFile, lock::Lock};
use crate::pipeline::{Endpoint, Pipeline, Source};
use ddpipe_cache::{Cache, CacheError, Digest, Record, SourceSeen, StatCache};
use std::cell::OnceCell;

/// Of so many nodes that read a file, the newest records are asked what it was.
const READERS: usize = 50;

/// What is known of files that are gone.
pub(super) struct Remembered<'a> {
    pipeline: &'a Pipeline,
    cache: &'a Cache,
    stats: &'a StatCache,
    lock: OnceCell<Option<Lock>>,
    records: OnceCell<Vec<Record>>,
    second: OnceCell<Vec<Record>>,
}

impl<'a> Remembered<'a> {
    pub fn new(pipeline: &'a Pipeline, cache: &'a Cache, stats: &'a StatCache) -> Self {
        Remembered { pipeline, cache, stats, lock: OnceCell::new(), records: OnceCell::new(), second: OnceCell::new() }
    }

    /// The digest that stands in for a file: its pinned one, or the one that the lock file notes, which a download would
    /// have to give; else what was last read from its path, what the records of the nodes that read it say, or what any
    /// record says of it, also of the second cache, in this order, where that agrees with the checksums that the manifest pins.
    pub fn digest(&self, source: &Source, file: &SourceFile) -> Result<Option<Digest>, CacheError> {
        if let Some(pinned) = file.blake3.as_ref().filter(|_| source.verify) {
            return Ok(pinned.parse().ok());
        }
        if !super::pins(file)
            && let Some(noted) = self.lock().and_then(|lock| lock.digest(&source.name, &file.name))
        {
            return Ok(Some(noted));
        }
        let last = self.stats.remembered(&file.path).filter(|_| !file.is_folder());
        let last = last.filter(|seen| agrees(source, file, seen.md5.as_deref(), seen.sha256.as_deref()));
        if let Some(seen) = last {
            return Ok(Some(seen.digest));
        }
        let name = format!("{}/{}", source.name, file.name);
        if let Some(seen) = newest(self.of_readers(source, file)?.iter(), |record| record.sources.get(&name))
            && agrees_with(source, file, seen)
        {
            return Ok(Some(seen.digest));
        }
        if let Some(digest) = self.named(source, file, &name, self.records()?) {
            return Ok(Some(digest));
        }
        // What the second cache has is used as if it lay in the first.
        Ok(self.named(source, file, &name, self.second.get_or_init(|| self.cache.second_records())))
    }

    /// What records say of a file of this name, those of this pipeline first, or of one that is pinned.
    fn named(&self, source: &Source, file: &SourceFile, name: &str, records: &[Record]) -> Option<Digest> {
        let same_name =
            |record: &'_ &Record| record.sources.get(name).is_some_and(|seen| agrees_with(source, file, seen));
        let of_this = |record: &&Record| record.pipeline == self.pipeline.name;
        let of_this = newest(records.iter().filter(same_name).filter(of_this), |record| record.sources.get(name));
        if let Some(seen) =
            of_this.or_else(|| newest(records.iter().filter(same_name), |record| record.sources.get(name)))
        {
            return Some(seen.digest);
        }
        // Another manifest may have called the same bytes by another name: a pin finds them.
        let mut seen = records.iter().flat_map(|record| record.sources.values());
        let is_pinned = super::pins(file) && source.verify;
        seen.find(|seen| is_pinned && agrees_with(source, file, seen)).map(|seen| seen.digest)
    }

    /// The newest records of the nodes that read the file.
    fn of_readers(&self, source: &Source, file: &SourceFile) -> Result<Vec<Record>, CacheError> {
        let reads = |endpoint: &Endpoint| match endpoint {
            Endpoint::Source { source: from, file: name } => *from == source.name && *name == file.name,
            Endpoint::Node { .. } => false,
        };
        let readers =
            self.pipeline.nodes.iter().filter(|node| node.inputs.values().flatten().any(|edge| reads(&edge.from)));
        let mut records = Vec::new();
        for node in readers.take(READERS) {
            records.extend(self.cache.newest_record(&self.pipeline.name, &node.address())?);
        }
        Ok(records)
    }

    fn lock(&self) -> Option<&Lock> {
        self.lock.get_or_init(|| Lock::read(&self.pipeline.file).ok()).as_ref()
    }

    fn records(&self) -> Result<&Vec<Record>, CacheError> {
        if self.records.get().is_none() {
            let _ = self.records.set(self.cache.records()?);
        }
        Ok(self.records.get_or_init(Vec::new))
    }
}

/// What the newest of some records says.
fn newest<'r>(
    records: impl Iterator<Item = &'r Record>,
    seen: impl Fn(&'r Record) -> Option<&'r SourceSeen>,
) -> Option<&'r SourceSeen> {
    let started = |record: &&Record| record.provenance.started_unix;
    let with = records.filter_map(|record| Some((record, seen(record)?)));
    with.max_by(|(one, _), (other, _)| started(one).total_cmp(&started(other))).map(|(_, seen)| seen)
}

fn agrees_with(source: &Source, file: &SourceFile, seen: &SourceSeen) -> bool {
    let blake3 = file.blake3.as_ref().filter(|_| source.verify).is_none_or(|pin| *pin == seen.digest.hex());
    blake3 && agrees(source, file, seen.md5.as_deref(), seen.sha256.as_deref())
}

/// Whether a file with these digests may be the pinned one: one that is pinned has to be known, and the same.
fn agrees(source: &Source, file: &SourceFile, md5: Option<&str>, sha256: Option<&str>) -> bool {
    let same = |pin: &Option<String>, found: Option<&str>| pin.as_deref().is_none_or(|pin| Some(pin) == found);
    // Either of the two is enough: records of before have no SHA-256.
    let both = [(&file.md5, md5), (&file.sha256, sha256)];
    let known: Vec<_> = both.into_iter().filter(|(pin, found)| pin.is_some() && found.is_some()).collect();
    let pinned = both.iter().any(|(pin, _)| pin.is_some());
    !source.verify || (known.iter().all(|(pin, found)| same(pin, *found)) && (!pinned || !known.is_empty()))
}
