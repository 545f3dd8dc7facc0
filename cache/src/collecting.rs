//! Whether garbage is collected at present, or has been since one looked. A run asks this when it has pinned what it
//! counts on: a collection that begins later sees the pins, and one that was at work before may not have. Knows not what is
//! collected.

use crate::aside::Aside;
use crate::claim::{Attempt, Lock};
use crate::{Cache, CacheError, Stamp, disk};
use std::io;
use std::thread;
use std::time::Duration;

/// Between two looks at another collection.
const POLL: Duration = Duration::from_millis(25);

/// A collection of this process. While it lives no other removes anything.
#[derive(Debug)]
pub(crate) struct Collecting(#[expect(dead_code, reason = "held for its `Drop`")] Lock);

/// What was known of collections at some moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collections {
    /// Whether one is at work, or may be within the same time stamp as the last one.
    at_work: bool,
    last: Option<Stamp>,
}

impl Collections {
    /// Whether nothing was collected between two looks, of which this is the later one.
    pub fn none_since(&self, before: &Collections) -> bool {
        !self.at_work && !before.at_work && self.last == before.last
    }
}

impl Cache {
    /// Begins a collection; waits for another one to end. From now on [`Cache::collections`] gives something else.
    pub(crate) fn begin_collecting(&self) -> Result<Collecting, CacheError> {
        let path = self.layout().collecting();
        let lock = loop {
            match Lock::attempt(&path)? {
                Attempt::Locked(lock) => break lock,
                Attempt::Held(_) => thread::sleep(POLL),
            }
        };
        // A new file, whose place and times tell it from the one before; without a byte that would count as the cache's.
        Aside::new(&self.layout().records_tmp())?.publish_accelerator(&self.layout().collected())?;
        Ok(Collecting(lock))
    }

    /// Whether one is at work at this moment.
    pub(crate) fn is_collecting(&self) -> Result<bool, CacheError> {
        Lock::is_held(&self.layout().collecting())
    }

    /// What is known of collections now.
    ///
    /// # Errors
    /// The lock or the mark cannot be read.
    pub fn collections(&self) -> Result<Collections, CacheError> {
        let at_work = self.is_collecting()?;
        let path = self.layout().collected();
        let now = self.now();
        let last = match disk::look(&path) {
            Ok(metadata) => Some(Stamp::seen(&metadata)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(CacheError::io("read", &path)(error)),
        };
        // One that began a moment ago may be followed by another within the same time stamp.
        let at_work = at_work || last.as_ref().is_some_and(|last| last.is_racy(now));
        Ok(Collections { at_work, last })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::Lookup;
    use crate::harness::deeds::{BEFORE, commit, key};

    /// The collection has looked at the record's time and is about to remove it when a run finds the record.
    #[test]
    fn a_record_that_a_collection_is_about_to_remove_is_not_counted_on() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        let node = BEFORE[0];
        commit(&cache, node, false).unwrap();
        let before = cache.collections().unwrap();
        let collecting = cache.begin_collecting().unwrap();
        let Attempt::Locked(removal) = Lock::attempt(&cache.layout().claim(key(node))).unwrap() else {
            panic!("nobody has the claim");
        };
        let found = cache.lookup(key(node), node, &mut |_| false);
        assert!(matches!(found, Err(CacheError::Interrupted { .. })), "{found:?}");
        std::fs::remove_file(cache.layout().record(key(node))).unwrap();
        drop(removal);
        assert!(matches!(cache.lookup(key(node), node, &mut |_| false), Ok(Lookup::Miss(_))));
        drop(collecting);
        assert!(!cache.collections().unwrap().none_since(&before));
    }

    /// A record that nobody removes at the moment is found all the same, and has the time of its use then.
    #[test]
    fn a_record_is_found_beside_a_collection() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        commit(&cache, BEFORE[0], false).unwrap();
        let _collecting = cache.begin_collecting().unwrap();
        assert!(matches!(cache.lookup(key(BEFORE[0]), BEFORE[0], &mut |_| false), Ok(Lookup::Hit(_))));
    }
}
