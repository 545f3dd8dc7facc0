//! Whether garbage is collected at present, or has been since one looked. A run asks this when it has pinned what it
//! counts on: a collection that begins later sees the pins, and one that was at work before may not have. Knows not what is
//! collected.

use crate::claim::{Attempt, Lock};
use crate::{Cache, CacheError, Holder, disk};
use std::io;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Between two looks at another collection.
const POLL: Duration = Duration::from_millis(25);

/// A collection of this process. While it lives no other removes anything.
#[derive(Debug)]
pub(crate) struct Collecting(#[expect(dead_code, reason = "held for its `Drop`")] Lock);

/// What was known of collections at some moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collections {
    at_work: bool,
    last: Option<Vec<u8>>,
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
        let mut lock = loop {
            match Lock::attempt(&path)? {
                Attempt::Locked(lock) => break lock,
                Attempt::Held(_) => thread::sleep(POLL),
            }
        };
        lock.sign(&Holder::me("gc"));
        let (mark, now) = (self.layout().collected(), SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
        let text = format!("{} {}\n", now.as_nanos(), std::process::id());
        let mut aside = crate::aside::Aside::new(&self.layout().records_tmp())?;
        aside.write(text.as_bytes())?;
        aside.publish_accelerator(&mark)?;
        Ok(Collecting(lock))
    }

    /// What is known of collections now.
    ///
    /// # Errors
    /// The lock or the mark cannot be read.
    pub fn collections(&self) -> Result<Collections, CacheError> {
        let at_work = Lock::is_held(&self.layout().collecting())?;
        let path = self.layout().collected();
        let last = match disk::read(&path) {
            Ok(last) => Some(last),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(CacheError::io("read", &path)(error)),
        };
        Ok(Collections { at_work, last })
    }
}
