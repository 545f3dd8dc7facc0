//! A cache within a cache, for results that are computed again only to be compared. It is removed when it is dropped; what
//! a killed process left of one is garbage. Knows not who compares what.

use crate::claim::{Attempt, Lock};
use crate::layout::Layout;
use crate::{Cache, CacheError, Holder};
use tempfile::TempDir;

/// The lock of a process that works in such a cache.
const RUNNING: &str = "running.lock";

/// A cache of its own, in a folder of another one.
#[derive(Debug)]
pub struct Beside {
    cache: Cache,
    // Dropped in this order: the lock's file lies in the folder.
    _running: Lock,
    _folder: TempDir,
}

impl Cache {
    /// A new, empty cache in this one's folder, for `what`, which others are told.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn beside(&self, what: &str) -> Result<Beside, CacheError> {
        let folder = tempfile::Builder::new().prefix(Layout::BESIDE).tempdir_in(self.root());
        let folder = folder.map_err(CacheError::io("create a folder in", self.root()))?;
        let path = folder.path().join(RUNNING);
        let mut running = loop {
            // Nobody else works there, but gc may be looking.
            if let Attempt::Locked(lock) = Lock::attempt(&path)? {
                break lock;
            }
        };
        running.sign(&Holder::me(what));
        Ok(Beside { cache: Cache::open(folder.path())?, _running: running, _folder: folder })
    }
}

impl Beside {
    /// The cache.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }
}

/// Whether a process works in the cache in this folder.
pub(crate) fn is_at_work(folder: &std::path::Path) -> Result<bool, CacheError> {
    Lock::is_held(&folder.join(RUNNING))
}
