//! What is not on record yet: keys that processes are at work on, and folders with checkpoints. Looks, and changes nothing.

use crate::claim::Lock;
use crate::{Cache, CacheError, Holder, Key, walk};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

impl Cache {
    /// The keys that processes compute at present, each with the process.
    pub fn at_work(&self) -> Result<HashMap<Key, Holder>, CacheError> {
        let mut at_work = HashMap::new();
        for entry in walk::entries(&self.layout().claims())? {
            let key = entry.name.strip_suffix(".lock").and_then(|name| name.parse::<Key>().ok());
            if let Some(key) = key
                && let Some(holder) = Lock::holder(&entry.path)?
            {
                at_work.insert(key, holder);
            }
        }
        Ok(at_work)
    }

    /// The keys that have a folder for checkpoints.
    pub fn begun(&self) -> Result<HashSet<Key>, CacheError> {
        let entries = walk::entries(&self.layout().scratches())?;
        Ok(entries.into_iter().filter_map(|entry| entry.name.parse().ok()).collect())
    }

    /// Where a key's checkpoints are, whether or not there are any.
    pub fn scratch_path(&self, key: Key) -> PathBuf {
        self.layout().scratch(key)
    }
}
