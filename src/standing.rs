//! Where a node stands that is not on record: another process is at work on it, or an interrupted run left a checkpoint.
//! Looks at the cache; knows no plan.

use ddpipe_cache::{Cache, CacheError, Holder, Key};
use ddpipe_interface::checkpoint::{self, Head};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs::File;

/// What is known of an action that has no record.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// A process computes it.
    AtWork(Holder),
    /// It continues from a checkpoint after so many steps, if the checkpoint proves to be whole and of the same numerics.
    Continues(u64),
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Standing::AtWork(holder) => write!(f, "is running in {holder}"),
            Standing::Continues(step) => write!(f, "continues after step {step}"),
        }
    }
}

/// All actions of a cache that are unfinished.
#[derive(Debug)]
pub struct Unfinished {
    cache: Cache,
    at_work: HashMap<Key, Holder>,
    begun: HashSet<Key>,
}

impl Unfinished {
    /// Looks at the claims and checkpoints of a cache.
    ///
    /// # Errors
    /// Those of the cache.
    pub fn of(cache: &Cache) -> Result<Self, CacheError> {
        Ok(Unfinished { cache: cache.clone(), at_work: cache.at_work()?, begun: cache.begun()? })
    }

    /// Where the action of this key stands; `version` is that of its kind.
    pub fn standing(&self, key: Key, version: u32) -> Option<Standing> {
        if let Some(holder) = self.at_work.get(&key) {
            return Some(Standing::AtWork(holder.clone()));
        }
        self.begun.contains(&key).then(|| step(&self.cache, key, version)).flatten().map(Standing::Continues)
    }
}

/// The step after which an action would continue from its checkpoint.
pub fn step(cache: &Cache, key: Key, version: u32) -> Option<u64> {
    let head = Head::read(File::open(cache.scratch_path(key).join(checkpoint::FILE)).ok()?)?;
    (head.key == key.hex() && head.version == u64::from(version)).then_some(head.step)
}
