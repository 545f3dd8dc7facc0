//! The cache as its users see it: look up a key, get a record or the right to make one. The parts are in the files
//! beside this one; what they share is here.

use crate::clock::Clock;
use crate::index::Index;
use crate::layout::Layout;
use crate::record::Found;
use crate::second::Second;
use crate::shared::{self, Leases, Look, Remote, Shared, Taken};
use crate::{BlobStore, CacheError, Claim, Holder, Key, Record, Stamp, StatCache, disk, record, walk};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

/// One cache folder. Clones share it; any number of processes may use the same folder.
#[derive(Clone, Debug)]
pub struct Cache(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    layout: Layout,
    blobs: BlobStore,
    index: Index,
    clock: Clock,
    second: Option<Second>,
    shared: Option<Arc<Shared>>,
    /// Those of the remote, or of this folder where several machines open it.
    leases: Option<Arc<Leases>>,
}

/// What a look-up gives.
#[derive(Debug)]
pub enum Lookup {
    /// The record, whose outputs are all in the cache.
    Hit(Box<Record>),
    /// The right to make it.
    Miss(Claim),
}

impl Cache {
    /// Opens the cache at `root`, and makes it if there is none. Where the group may write to `root`, it may write to
    /// everything that this process makes from now on (its file mode creation mask is changed).
    pub fn open(root: &Path) -> Result<Self, CacheError> {
        Cache::open_with(root, None)
    }

    /// As [`Cache::open`]. Records that this cache lacks are taken from a second one, which is only read: they and their
    /// outputs are verified and copied when they are asked for.
    ///
    /// # Errors
    /// Also when there is no cache in the second folder.
    pub fn open_with(root: &Path, second: Option<&Path>) -> Result<Self, CacheError> {
        Cache::open_sharing(root, second, None)
    }

    /// As [`Cache::open_with`]. What neither of the two has is taken from a remote, and what is committed is sent there. No
    /// request is made before the first record that is not here.
    ///
    /// # Errors
    /// Also when the remote is this folder.
    pub fn open_sharing(root: &Path, second: Option<&Path>, remote: Option<Remote>) -> Result<Self, CacheError> {
        let second = second.map(Second::open).transpose()?;
        let layout = Layout::new(root)?;
        layout.share();
        layout.create()?;
        let shared = remote.map(|remote| Shared::new(remote, &layout)).transpose()?.map(Arc::new);
        let blobs = BlobStore::new(layout.clone(), shared.clone());
        let index = Index::new(&layout);
        let leases = shared.as_ref().map(|shared| shared.leases.clone()).or_else(|| shared::leases_in(&layout));
        Ok(Cache(Arc::new(Inner { layout, blobs, index, clock: Clock::default(), second, shared, leases })))
    }

    /// The cache's folder, absolute.
    pub fn root(&self) -> &Path {
        self.0.layout.root()
    }

    /// The store of bytes.
    pub fn blobs(&self) -> &BlobStore {
        &self.0.blobs
    }

    /// The digests of files from outside, remembered between runs.
    pub fn stat_cache(&self) -> StatCache {
        StatCache::open(self)
    }

    pub(crate) fn shared(&self) -> Option<&Shared> {
        self.0.shared.as_deref()
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.0.layout
    }

    /// The record of `key`, or the right to make it. While another process has that right this waits, and asks `waiter`
    /// at once and then about every 100 ms whether to go on; then it looks again. `node` tells others who is at work.
    ///
    /// Take a claim when its stage can start, not before: two processes that each hold a claim and wait for the
    /// other's would wait for ever.
    ///
    /// # Errors
    /// [`CacheError::Interrupted`] when `waiter` said no; I/O errors.
    pub fn lookup(&self, key: Key, node: &str, waiter: &mut dyn FnMut(&Holder) -> bool) -> Result<Lookup, CacheError> {
        let before = self.collections()?;
        if let Some(record) = self.peek(key)? {
            self.touch(&[key]);
            // A collection that was about to remove the record has its claim, and goes by the time that it has then.
            if self.collections()?.none_since(&before) {
                return Ok(Lookup::Hit(Box::new(record)));
            }
        }
        let claim = self.claim(key, node, false, waiter)?;
        let found = self.or_from_elsewhere(key, record::read(&self.0.layout, key)?, Look::InClaim)?;
        match self.if_complete(found)? {
            Some(record) => {
                self.touch(&[key]);
                Ok(Lookup::Hit(Box::new(record)))
            }
            None => Ok(Lookup::Miss(claim)),
        }
    }

    /// The claim of a key: its lock on this machine, and where the cache is shared its lease.
    fn claim(
        &self,
        key: Key,
        node: &str,
        forced: bool,
        waiter: &mut dyn FnMut(&Holder) -> bool,
    ) -> Result<Claim, CacheError> {
        let mut looks = 0;
        loop {
            let mut claim = Claim::wait(self, key, node, forced, waiter)?;
            let Some(leases) = &self.0.leases else { return Ok(claim) };
            let holder = match leases.take(key, node) {
                Taken::Mine(lease) => {
                    claim.lease = Some(lease);
                    return Ok(claim);
                }
                Taken::Unknown => return Ok(claim),
                Taken::Held(holder) => holder,
            };
            drop(claim);
            if !waiter(&holder) {
                return Err(CacheError::Interrupted { holder });
            }
            thread::sleep(leases.pause(looks));
            looks += 1;
        }
    }

    pub(crate) fn leases(&self) -> Option<&Leases> {
        self.0.leases.as_deref()
    }

    /// Whether other machines may compute the same keys: then a look-up may take a while.
    pub fn is_shared(&self) -> bool {
        self.0.leases.is_some()
    }

    /// After how long to look again at a key that another process has, at the so many-eth look.
    pub fn pause(&self, looks: u32) -> Duration {
        self.0.leases.as_ref().map_or(Duration::ZERO, |leases| leases.pause(looks))
    }

    /// The right to make a record even where there is one; its commit replaces it. Waits like [`Cache::lookup`].
    pub fn lookup_forced(
        &self,
        key: Key,
        node: &str,
        waiter: &mut dyn FnMut(&Holder) -> bool,
    ) -> Result<Claim, CacheError> {
        self.claim(key, node, true, waiter)
    }

    /// The record of `key` if every output is in the cache with its length. Claims nothing and marks nothing as used.
    pub fn peek(&self, key: Key) -> Result<Option<Record>, CacheError> {
        self.if_complete(self.record(key)?)
    }

    fn if_complete(&self, found: Option<Record>) -> Result<Option<Record>, CacheError> {
        let Some(record) = found else { return Ok(None) };
        Ok(self.lost_outputs(&record)?.is_empty().then_some(record))
    }

    /// The record of `key`, whether or not its outputs are still there. With a second cache, what is not here or not
    /// whole is taken from there, where it is whole.
    pub fn record(&self, key: Key) -> Result<Option<Record>, CacheError> {
        self.or_from_elsewhere(key, record::read(&self.0.layout, key)?, Look::Plan)
    }

    /// As [`Cache::record`], of a key whose description is known: the record's file is opened only if it may have changed
    /// since a process read it. Where there is a record, the description may go over to it; then nothing of it is left here.
    ///
    /// # Errors
    /// Those of reading.
    pub fn record_described(
        &self,
        key: Key,
        description: &mut Vec<(String, String)>,
    ) -> Result<Option<Record>, CacheError> {
        self.or_from_elsewhere(key, self.look_up(key, description, &|| self.now())?, Look::Plan)
    }

    /// As [`Cache::record_described`], of this folder alone.
    ///
    /// # Errors
    /// Those of reading.
    pub fn record_here(&self, key: Key, description: &mut Vec<(String, String)>) -> Result<Option<Record>, CacheError> {
        self.look_up(key, description, &|| self.now())
    }

    pub(crate) fn look_up(
        &self,
        key: Key,
        description: &mut Vec<(String, String)>,
        now: &dyn Fn() -> SystemTime,
    ) -> Result<Option<Record>, CacheError> {
        let path = self.0.layout.record(key);
        let stamp = match disk::look(&path) {
            Ok(metadata) => Stamp::seen(&metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(CacheError::io("read", &path)(error)),
        };
        if let Some(record) = self.0.index.find(key, description, &stamp) {
            return Ok(Some(record));
        }
        let Found::Record(record) = record::find(&self.0.layout, key)? else {
            // What is damaged is set aside.
            return record::read(&self.0.layout, key);
        };
        // A file that changed a moment ago may change again within the same time stamp.
        let unchanged = || disk::look(&path).is_ok_and(|metadata| Stamp::seen(&metadata) == stamp);
        if !stamp.is_racy(now()) && unchanged() {
            self.0.index.learn(&record, stamp);
        }
        Ok(Some(*record))
    }

    /// Keeps what this process has read of records for the next one. Call it at the end of a command. An accelerator:
    /// trouble with it is logged.
    pub fn save_index(&self) {
        if let Err(error) = self.0.index.save() {
            tracing::debug!(%error, "the index of records was not written");
        }
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    pub(crate) fn index(&self) -> &Index {
        &self.0.index
    }

    /// What was found here, if it is whole; else what the second cache has, and then what the remote has.
    fn or_from_elsewhere(&self, key: Key, found: Option<Record>, look: Look) -> Result<Option<Record>, CacheError> {
        if self.0.second.is_none() && self.0.shared.is_none() {
            return Ok(found);
        }
        let whole = match &found {
            Some(record) => self.lost_outputs(record)?.is_empty(),
            None => false,
        };
        if whole {
            return Ok(found);
        }
        if let Some(record) = self.0.second.as_ref().and_then(|second| second.take(self, key)) {
            return Ok(Some(record));
        }
        Ok(self.shared().and_then(|shared| shared.record(self, key, look)).or(found))
    }

    /// All readable records, in no particular order. Reads every one of them.
    pub fn records(&self) -> Result<Vec<Record>, CacheError> {
        let mut records = Vec::new();
        for (key, _) in walk::records(&self.0.layout)? {
            records.extend(self.record(key)?);
        }
        Ok(records)
    }

    /// All readable records of the second cache, which are not copied; none where there is no second one.
    pub fn second_records(&self) -> Vec<Record> {
        let Some(second) = &self.0.second else { return Vec::new() };
        second.records().unwrap_or_else(|error| {
            tracing::warn!("the records of the second cache are not used: {error}");
            Vec::new()
        })
    }

    /// The records that were used last, so many at most, the last one first. Reads no others.
    pub fn recent_records(&self, most: usize) -> Result<Vec<Record>, CacheError> {
        let mut found = walk::records(&self.0.layout)?;
        found.sort_by_key(|(_, entry)| std::cmp::Reverse(entry.metadata.modified().ok()));
        let mut records = Vec::new();
        for (key, _) in found.into_iter().take(most) {
            records.extend(self.record(key)?);
        }
        Ok(records)
    }

    /// The names of the outputs that are neither in the cache with their length nor known to be in the remote.
    pub fn lost_outputs(&self, record: &Record) -> Result<Vec<String>, CacheError> {
        let mut lost = Vec::new();
        for (name, output) in &record.outputs {
            let is_there = || self.shared().is_some_and(|shared| shared.has(record.key, output.digest));
            if self.0.blobs.contains(output.digest)? != Some(output.bytes) && !is_there() {
                lost.push(name.clone());
            }
        }
        Ok(lost)
    }

    /// Notes that these records were used now; `gc` removes the longest unused first.
    pub fn touch(&self, keys: &[Key]) {
        keys.iter().for_each(|&key| record::touch(&self.0.layout.record(key)));
    }

    /// The folder for a key's checkpoints, made if needed. It outlives the process, so that the next run can continue.
    pub fn scratch(&self, key: Key) -> Result<PathBuf, CacheError> {
        let path = self.0.layout.scratch(key);
        disk::make_folders(&path).map_err(CacheError::io("create", &path))?;
        Ok(path)
    }

    /// Removes a key's checkpoints, if there are any.
    pub fn remove_scratch(&self, key: Key) -> Result<(), CacheError> {
        let path = self.0.layout.scratch(key);
        match disk::remove_tree(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(CacheError::io("remove", &path)(error)),
            _ => Ok(()),
        }
    }
}
