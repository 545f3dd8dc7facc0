//! The planner's view of a cache. Trouble with a single record is logged and counts as "not there": the stage runs.

use crate::plan::Records;
use ddpipe_cache::{Cache, Key, Record};

impl Records for Cache {
    fn find(&self, key: &Key) -> Option<Record> {
        said(self.record(*key)).flatten()
    }

    fn lost_output(&self, record: &Record) -> Option<String> {
        said(self.lost_outputs(record)).and_then(|lost| lost.into_iter().next())
    }

    fn newest(&self, pipeline: &str, node: &str) -> Option<Record> {
        said(self.newest_record(pipeline, node)).flatten()
    }
}

fn said<T>(result: Result<T, ddpipe_cache::CacheError>) -> Option<T> {
    result.inspect_err(|error| tracing::warn!("{error}")).ok()
}
