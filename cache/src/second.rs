//! A second cache, which is only read: of another job, another user, another machine. What the first lacks is copied from
//! it, verified on the way. Trouble with it costs a computation and never a run.

use crate::claim::{Attempt, Lock};
use crate::layout::Layout;
use crate::record::{self, Found};
use crate::{Cache, CacheError, Key, Record, disk, walk};
use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// A cache that is only read.
#[derive(Debug)]
pub(crate) struct Second {
    layout: Layout,
    /// What is said of a record is said once.
    said: Mutex<HashSet<Key>>,
}

impl Second {
    /// The cache in this folder.
    ///
    /// # Errors
    /// There is none.
    pub fn open(root: &Path) -> Result<Self, CacheError> {
        let layout = Layout::new(root)?;
        if !disk::exists(&layout.records()) {
            return Err(CacheError::NoCache { path: layout.root().to_path_buf() });
        }
        Ok(Second { layout, said: Mutex::default() })
    }

    /// Copies the record of a key and its outputs into the first cache. None where it is not there, not whole, or being
    /// made by somebody in the first.
    pub fn take(&self, first: &Cache, key: Key) -> Option<Record> {
        let record = match record::find(&self.layout, key) {
            Ok(Found::Record(record)) => record,
            Ok(Found::Broken) => {
                self.say(key, &format!("its record {key} is damaged"));
                return None;
            }
            Ok(_) => return None,
            Err(error) => {
                self.say(key, &format!("its record {key} cannot be read: {error}"));
                return None;
            }
        };
        match self.copy(first, &record) {
            Ok(whole) => whole.then_some(*record),
            Err(error) => {
                let what = match &error {
                    CacheError::OtherContent { .. } => "is damaged there".to_string(),
                    error => format!("cannot be taken from there: {error}"),
                };
                self.say(key, &format!("a result of {} {what}", record.node));
                None
            }
        }
    }

    /// All readable records, in no particular order.
    pub fn records(&self) -> Result<Vec<Record>, CacheError> {
        let mut records = Vec::new();
        for (key, _) in walk::records(&self.layout)? {
            if let Found::Record(record) = record::find(&self.layout, key)? {
                records.push(*record);
            }
        }
        Ok(records)
    }

    fn say(&self, key: Key, what: &str) {
        if self.said.lock().unwrap_or_else(PoisonError::into_inner).insert(key) {
            let root = self.layout.root().display();
            tracing::warn!(
                "the second cache {root}: {what}; it is not used, and what needs it runs here instead; \
                 `ddpipe cache verify --cache {root}` finds what is damaged there"
            );
        }
    }

    /// Whether the record and its outputs are in the first cache now.
    fn copy(&self, first: &Cache, record: &Record) -> Result<bool, CacheError> {
        let Attempt::Locked(_lock) = Lock::attempt(&first.layout().claim(record.key))? else { return Ok(false) };
        if let Found::Newer(_) = record::find(first.layout(), record.key)? {
            return Ok(false);
        }
        for output in record.outputs.values() {
            if first.blobs().contains(output.digest)? == Some(output.bytes) {
                continue;
            }
            let path = self.layout.blob(output.digest);
            let mut file = match disk::open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(CacheError::io("read", &path)(error)),
            };
            first.blobs().put(output.digest, &mut file)?;
        }
        record::write(first.layout(), record)?;
        Ok(true)
    }
}
