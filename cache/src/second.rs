//! A second cache, which is only read: of another job, another user, another machine. What the first lacks is copied from
//! it, verified on the way. Trouble with it costs a computation and never a run.

use crate::claim::{Attempt, Lock};
use crate::layout::Layout;
use crate::record::{self, Found};
use crate::{Cache, CacheError, Key, Record, disk, walk};
use std::io;
use std::path::Path;

/// A cache that is only read.
#[derive(Debug)]
pub(crate) struct Second(Layout);

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
        Ok(Second(layout))
    }

    /// Copies the record of a key and its outputs into the first cache. None where it is not there, not whole, or being
    /// made by somebody in the first.
    pub fn take(&self, first: &Cache, key: Key) -> Option<Record> {
        match self.copy(first, key) {
            Ok(record) => record,
            Err(error) => {
                tracing::warn!(%key, "a record of {} is not used: {error}", self.0.root().display());
                None
            }
        }
    }

    /// All readable records, in no particular order.
    pub fn records(&self) -> Result<Vec<Record>, CacheError> {
        let mut records = Vec::new();
        for (key, _) in walk::records(&self.0)? {
            if let Found::Record(record) = record::find(&self.0, key)? {
                records.push(*record);
            }
        }
        Ok(records)
    }

    fn copy(&self, first: &Cache, key: Key) -> Result<Option<Record>, CacheError> {
        let Found::Record(record) = record::find(&self.0, key)? else { return Ok(None) };
        let Attempt::Locked(_lock) = Lock::attempt(&first.layout().claim(key))? else { return Ok(None) };
        if let Found::Newer(_) = record::find(first.layout(), key)? {
            return Ok(None);
        }
        for output in record.outputs.values() {
            if first.blobs().contains(output.digest)? == Some(output.bytes) {
                continue;
            }
            let path = self.0.blob(output.digest);
            let mut file = match disk::open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(CacheError::io("read", &path)(error)),
            };
            first.blobs().put(output.digest, &mut file)?;
        }
        record::write(first.layout(), &record)?;
        Ok(Some(*record))
    }
}
