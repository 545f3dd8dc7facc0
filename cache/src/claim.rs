//! Claims: the right to compute a key and to write its record. A claim is an operating system's lock on
//! `claims-v1/<key>.lock`, so that it ends with its process however that ends. The file is removed by whoever holds its
//! lock; hence everybody who gets a lock checks that the name still means the file that was locked.

use crate::aside::{Aside, ORDINARY};
use crate::record::Found;
use crate::shared::Lease;
use crate::{Cache, CacheError, Holder, Key, Numerics, Record, aside, disk, record};
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// Between two looks at a lock that another process holds.
const POLL: Duration = Duration::from_millis(25);
/// The waiter is asked once in so many looks: about every 100 ms.
const POLLS_PER_ASK: u32 = 4;

/// A locked lock file. Dropping it removes the file, then gives the lock back.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
    path: PathBuf,
}

/// The outcome of one attempt.
pub(crate) enum Attempt {
    Locked(Lock),
    Held(Holder),
}

impl Lock {
    /// Locks `path` without waiting.
    pub fn attempt(path: &Path) -> Result<Attempt, CacheError> {
        loop {
            let mut file = match disk::open_or_create(path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let folder = path.parent().unwrap_or(path);
                    disk::make_folders(folder).map_err(CacheError::io("create", folder))?;
                    continue;
                }
                Err(error) => return Err(CacheError::io("write", path)(error)),
            };
            if !disk::try_lock(&file, path).map_err(CacheError::io("lock", path))? {
                return Ok(Attempt::Held(read_holder(&mut file, path)));
            }
            // Otherwise the last holder removed the file between our opening and our locking it.
            if names(path, &file)? {
                return Ok(Attempt::Locked(Lock { file, path: path.to_path_buf() }));
            }
        }
    }

    /// Whether somebody holds this lock file. Does not create it.
    pub fn is_held(path: &Path) -> Result<bool, CacheError> {
        Ok(Lock::holder(path)?.is_some())
    }

    /// Who holds this lock file, if anybody does. Does not create it.
    pub fn holder(path: &Path) -> Result<Option<Holder>, CacheError> {
        let mut file = match disk::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(CacheError::io("read", path)(error)),
        };
        // A shared lock, so that two onlookers do not take each other for holders.
        let free = disk::try_lock_shared(&file, path).map_err(CacheError::io("lock", path))?;
        Ok((!free).then(|| read_holder(&mut file, path)))
    }

    /// Writes who holds it. For people only, so a failure does not matter.
    pub fn sign(&mut self, holder: &Holder) {
        let text = serde_json::to_vec(holder).unwrap_or_default();
        if let Err(error) = disk::rewrite(&mut self.file, &self.path, &text) {
            tracing::debug!(path = %self.path.display(), %error, "the holder was not noted");
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // If somebody deleted the file by hand, the name may be another holder's by now.
        if names(&self.path, &self.file).unwrap_or(false)
            && let Err(error) = disk::unlink(&self.path)
        {
            tracing::debug!(path = %self.path.display(), %error, "a lock file stays until gc");
        }
        // Explicitly: a child between fork and exec may share the open file for a moment.
        if let Err(error) = disk::unlock(&self.file, &self.path) {
            tracing::debug!(path = %self.path.display(), %error, "the lock ends when the file is closed");
        }
    }
}

/// Whether `path` still names this open file.
fn names(path: &Path, file: &File) -> Result<bool, CacheError> {
    let ours = disk::look_at_open(file, path).map_err(CacheError::io("read", path))?;
    match disk::look(path) {
        Ok(named) => Ok(named.ino() == ours.ino() && named.dev() == ours.dev()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(CacheError::io("read", path)(error)),
    }
}

fn read_holder(file: &mut File, path: &Path) -> Holder {
    let mut text = Vec::new();
    if disk::read_to_end(file, path, &mut text).is_err() {
        return Holder::default();
    }
    serde_json::from_slice(&text).unwrap_or_default()
}

/// What a commit came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Committed {
    /// The record under the key: the one that was offered, or the one that was there before.
    pub record: Record,
    /// Set when the key had a record with other bytes.
    pub other_bytes: Option<OtherBytes>,
}

/// Two results of one key that are not the same bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherBytes {
    /// The outputs that differ.
    pub outputs: Vec<String>,
    /// The numerics of the result on record, where it says them.
    pub recorded: Option<Numerics>,
    /// The numerics of the new result.
    pub made: Option<Numerics>,
    /// Whether the result on record was kept; otherwise the new one replaced it.
    pub kept: bool,
}

impl fmt::Display for OtherBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = |numerics: &Option<Numerics>| numerics.as_ref().map_or("unknown".to_string(), Numerics::to_string);
        let (recorded, made) = (said(&self.recorded), said(&self.made));
        let outcome = if self.kept { "the one on record is kept" } else { "the new one replaces it" };
        write!(
            f,
            "the same action gave other bytes ({}): on record with {recorded}; now with {made}; {outcome}",
            self.outputs.join(", ")
        )
    }
}

/// The right to compute one key. Dropping it without a commit leaves nothing behind.
#[derive(Debug)]
pub struct Claim {
    cache: Cache,
    key: Key,
    forced: bool,
    /// What others see of it, where the cache is shared. Given back before the lock.
    pub(crate) lease: Option<Lease>,
    /// Held for its `Drop`.
    _lock: Lock,
}

impl Claim {
    /// Takes the claim, waiting while another process has it. `waiter` is told for whom, at once and then about every
    /// 100 ms, and says whether to go on waiting.
    pub(crate) fn wait(
        cache: &Cache,
        key: Key,
        node: &str,
        forced: bool,
        waiter: &mut dyn FnMut(&Holder) -> bool,
    ) -> Result<Self, CacheError> {
        let path = cache.layout().claim(key);
        let mut polls = 0;
        loop {
            match Lock::attempt(&path)? {
                Attempt::Locked(mut lock) => {
                    lock.sign(&Holder::me(node));
                    return Ok(Claim { cache: cache.clone(), key, forced, lease: None, _lock: lock });
                }
                Attempt::Held(holder) => {
                    if polls % POLLS_PER_ASK == 0 && !waiter(&holder) {
                        return Err(CacheError::Interrupted { holder });
                    }
                    polls = polls.wrapping_add(1);
                    thread::sleep(POLL);
                }
            }
        }
    }

    /// What this claim is for.
    pub fn key(&self) -> Key {
        self.key
    }

    /// Publishes the record, notes it as its node's latest and removes the key's scratch. Every output has to be in the
    /// cache. A complete record that is there already is kept and returned, unless the claim was forced. A record of a
    /// newer format is left as it is; then nothing is published.
    ///
    /// # Errors
    /// The record is of another key, its description does not give its key, an output is not in the cache; I/O errors.
    pub fn commit(self, record: Record) -> Result<Committed, CacheError> {
        let mut begun = self.begin(record)?;
        if let Some((aside, path)) = begun.file.take() {
            aside.publish(&path, ORDINARY)?;
        }
        Ok(begun.end())
    }

    /// What a commit does before its record gets its name.
    fn begin(self, record: Record) -> Result<Begun, CacheError> {
        debug_assert_eq!(record.format, record::FORMAT);
        let described = Key::of(&record.description);
        if let Some(other) = [record.key, described].into_iter().find(|key| *key != self.key) {
            return Err(CacheError::OtherKey { record: other, claim: self.key });
        }
        for (name, output) in &record.outputs {
            if self.cache.blobs().contains(output.digest)? != Some(output.bytes) {
                return Err(CacheError::OutputMissing {
                    node: record.node,
                    output: name.clone(),
                    digest: output.digest,
                    bytes: output.bytes,
                });
            }
        }
        let path = self.cache.layout().record(self.key);
        if !self.forced {
            // Somebody may have been faster who took this process for dead.
            self.cache.look_elsewhere(self.key);
        }
        let before = match record::find(self.cache.layout(), self.key)? {
            Found::Record(before) => Some(*before),
            Found::Newer(format) => {
                tracing::warn!(path = %path.display(), format, "a record of a newer format stays; this result is not recorded");
                return Ok(Begun { claim: self, record, other_bytes: None, file: None, is_noted: false });
            }
            Found::Broken => {
                record::set_aside(self.cache.layout(), self.key)?;
                None
            }
            Found::Absent => None,
        };
        let complete = match &before {
            Some(before) => self.cache.lost_outputs(before)?.is_empty(),
            None => false,
        };
        let other_bytes = before.as_ref().filter(|before| !before.same_bytes(&record)).map(|before| {
            let (recorded, made) = (before.provenance.numerics.clone(), record.provenance.numerics.clone());
            OtherBytes { outputs: before.outputs_unlike(&record), recorded, made, kept: complete && !self.forced }
        });
        self.cache.will_send(self.key);
        let (record, file) = match before {
            Some(before) if complete && !self.forced => {
                aside::flush_name(&path)?;
                (before, None)
            }
            _ => {
                let aside = record::written_aside(self.cache.layout(), &record)?;
                (record, Some((aside, path)))
            }
        };
        Ok(Begun { claim: self, record, other_bytes, file, is_noted: true })
    }
}

/// Commits several records, as [`Claim::commit`] does with each. They are flushed at the same time, so that many cost
/// little more than one. What came of each, in order; one that fails does not keep the others from their records.
pub fn commit_all(offered: Vec<(Claim, Record)>) -> Vec<Result<Committed, CacheError>> {
    let mut begun: Vec<_> = offered.into_iter().map(|(claim, record)| claim.begin(record)).collect();
    let file = |begun: &mut Result<Begun, CacheError>| begun.as_mut().ok()?.file.take();
    let files: Vec<_> = begun.iter_mut().map(file).collect();
    let has_file: Vec<bool> = files.iter().map(Option::is_some).collect();
    let mut published = Aside::publish_all(files.into_iter().flatten().collect(), ORDINARY).into_iter();
    let published = has_file.into_iter().map(|has| if has { published.next().unwrap_or(Ok(())) } else { Ok(()) });
    let ended = begun.into_iter().zip(published);
    ended.map(|(begun, published)| begun.and_then(|begun| published.map(|()| begun.end()))).collect()
}

/// A commit whose record has everything but its name.
struct Begun {
    claim: Claim,
    record: Record,
    other_bytes: Option<OtherBytes>,
    /// The record's file and the name that it is to have; none where the one that is there stays.
    file: Option<(Aside, PathBuf)>,
    /// Whether the record is its node's latest now.
    is_noted: bool,
}

impl Begun {
    /// What a commit does when the record is safe: it only makes things faster or tidier. Gives the claim back.
    fn end(self) -> Committed {
        let Begun { mut claim, record, other_bytes, is_noted, .. } = self;
        if is_noted {
            if let Err(error) = claim.cache.note_latest(&record.pipeline, &record.node, claim.key) {
                tracing::warn!(%error, "the latest record was not noted");
            }
            if let Err(error) = claim.cache.remove_scratch(claim.key) {
                tracing::warn!(%error, "the scratch folder stays until gc");
            }
        }
        if is_noted {
            claim.cache.send(claim.key, claim.lease.take());
        }
        Committed { record, other_bytes }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::fs;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn a_lock_file_that_was_removed_and_made_again_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.lock");
        let file = File::create(&path).unwrap();
        assert!(names(&path, &file).unwrap());
        fs::remove_file(&path).unwrap();
        assert!(!names(&path, &file).unwrap());
        File::create(&path).unwrap();
        assert!(!names(&path, &file).unwrap());
    }

    /// Without pauses, so that removing, opening and locking meet in every order.
    #[test]
    fn no_two_hold_a_lock_whose_file_is_removed_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.lock");
        let inside = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let mut held = 0;
                    while held < 100 {
                        if let Attempt::Locked(lock) = Lock::attempt(&path).unwrap() {
                            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                            thread::yield_now();
                            assert_eq!(inside.fetch_sub(1, Ordering::SeqCst), 1);
                            drop(lock);
                            held += 1;
                        }
                    }
                });
            }
        });
        assert!(!path.exists());
    }
}
