//! The planner's view of a cache. A record that cannot be read, for want of a device or of file descriptors, is an error
//! of its node and not a missing record: otherwise hours of work would be done again for nothing.

use crate::key::Description;
use crate::plan::Records;
use ddpipe_cache::{Cache, CacheError, Key, Record};

impl Records for Cache {
    fn find(&self, key: &Key) -> Result<Option<Record>, CacheError> {
        self.record(*key)
    }

    fn find_described(&self, key: &Key, description: &mut Description) -> Result<Option<Record>, CacheError> {
        self.record_described(*key, description.entries_mut())
    }

    fn find_here(&self, key: &Key, description: &mut Description) -> Result<Option<Record>, CacheError> {
        match self.has_remote() {
            true => self.record_here(*key, description.entries_mut()),
            false => self.find_described(key, description),
        }
    }

    fn are_elsewhere_too(&self) -> bool {
        self.has_remote()
    }

    fn look_ahead(&self, pipeline: &str, keys: &[Key]) {
        Cache::look_ahead(self, pipeline, keys);
    }

    fn lost_output(&self, record: &Record) -> Result<Option<String>, CacheError> {
        Ok(self.lost_outputs(record)?.into_iter().next())
    }

    /// What a node gave last only explains why it runs: trouble with it is logged.
    fn newest(&self, pipeline: &str, node: &str) -> Option<Record> {
        self.newest_record(pipeline, node).inspect_err(|error| tracing::warn!("{error}")).ok().flatten()
    }

    fn earlier(&self, pipeline: &str, node: &str) -> Vec<Record> {
        self.earlier_records(pipeline, node).inspect_err(|error| tracing::warn!("{error}")).unwrap_or_default()
    }
}
