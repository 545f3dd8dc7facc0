//! Keeps what a run uses and makes safe from a garbage collection beside it: every record is pinned before the run counts
//! on it.

use crate::event::{Event, Observer};
use ddpipe_cache::{CacheError, Key, RunDir};
use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;

/// Pins records for a run. Clones share what they have pinned.
#[derive(Clone)]
pub struct Pins {
    run: Rc<RunDir>,
    pinned: Rc<RefCell<HashSet<Key>>>,
}

impl Pins {
    /// An observer that pins records for this run.
    pub fn new(run: Rc<RunDir>) -> Self {
        Pins { run, pinned: Rc::default() }
    }

    /// Pins those of these records that are not pinned yet.
    ///
    /// # Errors
    /// Those of the cache.
    pub fn pin(&self, keys: &[Key]) -> Result<(), CacheError> {
        let mut pinned = self.pinned.borrow_mut();
        let new: Vec<Key> = keys.iter().copied().filter(|key| !pinned.contains(key)).collect();
        if new.is_empty() {
            return Ok(());
        }
        self.run.pin(&new)?;
        pinned.extend(new);
        Ok(())
    }
}

impl Observer for Pins {
    fn on_event(&mut self, _event: &Event) {}

    fn reaches(&mut self, key: Key) {
        if let Err(error) = self.pin(&[key]) {
            tracing::warn!("{error}");
        }
    }
}
