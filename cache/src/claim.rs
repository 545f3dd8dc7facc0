//! Claims: the right to compute a key and to write its record. A claim is an operating system's lock on
//! `claims-v1/<key>.lock`, so that it ends with its process however that ends. The file is removed by whoever holds its
//! lock; hence everybody who gets a lock checks that the name still means the file that was locked.

use crate::{Cache, CacheError, Holder, Key, Record, record};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
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
            let mut file = match OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let folder = path.parent().unwrap_or(path);
                    fs::create_dir_all(folder).map_err(CacheError::io("create", folder))?;
                    continue;
                }
                Err(error) => return Err(CacheError::io("write", path)(error)),
            };
            match file.try_lock() {
                Err(TryLockError::WouldBlock) => return Ok(Attempt::Held(read_holder(&mut file))),
                Err(TryLockError::Error(error)) => return Err(CacheError::io("lock", path)(error)),
                // Otherwise the last holder removed the file between our opening and our locking it.
                Ok(()) if names(path, &file)? => return Ok(Attempt::Locked(Lock { file, path: path.to_path_buf() })),
                Ok(()) => {}
            }
        }
    }

    /// Whether somebody holds this lock file. Does not create it.
    pub fn is_held(path: &Path) -> Result<bool, CacheError> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(CacheError::io("read", path)(error)),
        };
        // A shared lock, so that two onlookers do not take each other for holders.
        match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(CacheError::io("lock", path)(error)),
        }
    }

    /// Writes who holds it. For people only, so a failure does not matter.
    pub fn sign(&mut self, holder: &Holder) {
        let text = serde_json::to_vec(holder).unwrap_or_default();
        let written = self.file.set_len(0).and_then(|()| self.file.rewind()).and_then(|()| self.file.write_all(&text));
        if let Err(error) = written {
            tracing::debug!(path = %self.path.display(), %error, "the holder was not noted");
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // If somebody deleted the file by hand, the name may be another holder's by now.
        if names(&self.path, &self.file).unwrap_or(false)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::debug!(path = %self.path.display(), %error, "a lock file stays until gc");
        }
        // Explicitly: a child between fork and exec may share the open file for a moment.
        if let Err(error) = self.file.unlock() {
            tracing::debug!(path = %self.path.display(), %error, "the lock ends when the file is closed");
        }
    }
}

/// Whether `path` still names this open file.
fn names(path: &Path, file: &File) -> Result<bool, CacheError> {
    let ours = file.metadata().map_err(CacheError::io("read", path))?;
    match fs::metadata(path) {
        Ok(named) => Ok(named.ino() == ours.ino() && named.dev() == ours.dev()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(CacheError::io("read", path)(error)),
    }
}

fn read_holder(file: &mut File) -> Holder {
    let mut text = Vec::new();
    if file.read_to_end(&mut text).is_err() {
        return Holder::default();
    }
    serde_json::from_slice(&text).unwrap_or_default()
}

/// The right to compute one key. Dropping it without a commit leaves nothing behind.
#[derive(Debug)]
pub struct Claim {
    cache: Cache,
    key: Key,
    forced: bool,
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
                    return Ok(Claim { cache: cache.clone(), key, forced, _lock: lock });
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
    /// cache. A complete record that is there already is kept and returned, unless the claim was forced.
    pub fn commit(self, record: Record) -> Result<Record, CacheError> {
        if record.key != self.key {
            return Err(CacheError::OtherKey { record: record.key, claim: self.key });
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
        let record = match self.cache.peek(self.key)? {
            Some(existing) if !self.forced => existing,
            _ => {
                record::write(self.cache.layout(), &record)?;
                record
            }
        };
        // The result is safe by now; what follows only makes things faster or tidier.
        if let Err(error) = self.cache.note_latest(&record.pipeline, &record.node, self.key) {
            tracing::warn!(%error, "the latest record was not noted");
        }
        if let Err(error) = self.cache.remove_scratch(self.key) {
            tracing::warn!(%error, "the scratch folder stays until gc");
        }
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
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
