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

    /// What is known of collections now.
    ///
    /// # Errors
    /// The lock or the mark cannot be read.
    pub fn collections(&self) -> Result<Collections, CacheError> {
        let at_work = Lock::is_held(&self.layout().collecting())?;
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
