//! How much room the cache takes, and for what. Knows no limits: those are `gc`'s.

use crate::{Cache, CacheError, Digest, walk};
use std::collections::{BTreeMap, HashSet};
use std::ops::AddAssign;

/// A number of files and their length in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// The number of files.
    pub files: u64,
    /// The sum of their lengths in bytes.
    pub bytes: u64,
}

impl Count {
    pub(crate) fn one(bytes: u64) -> Self {
        Count { files: 1, bytes }
    }
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.files += other.files;
        self.bytes += other.bytes;
    }
}

/// What `ddpipe cache du` shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Artifacts, with files not yet published.
    pub blobs: Count,
    /// Records, with records not yet published.
    pub records: Count,
    /// Checkpoints of actions that are not finished.
    pub scratch: Count,
    /// What runs were started with, what happened, and what came of them.
    pub runs: Count,
    /// Damaged files that were set aside.
    pub damaged: Count,
    /// Blobs by the artifact type that records give them. A blob counts once for each type that it has.
    pub by_type: BTreeMap<String, Count>,
}

impl Usage {
    /// The sum over all parts of the cache.
    pub fn total(&self) -> Count {
        let mut total = Count::default();
        for part in [self.blobs, self.records, self.scratch, self.runs, self.damaged] {
            total += part;
        }
        total
    }
}

impl Cache {
    /// How much room the cache takes.
    pub fn du(&self) -> Result<Usage, CacheError> {
        let layout = self.layout();
        let mut usage = Usage {
            blobs: walk::measure(&layout.blobs())?,
            records: walk::measure(&layout.records())?,
            scratch: walk::measure(&layout.scratches())?,
            runs: walk::measure(&layout.runs())?,
            damaged: walk::measure(&layout.damaged())?,
            by_type: BTreeMap::new(),
        };
        let present: HashSet<Digest> = walk::blobs(layout)?.into_iter().map(|(digest, _)| digest).collect();
        let mut counted = HashSet::new();
        for output in self.records()?.into_iter().flat_map(|record| record.outputs.into_values()) {
            if present.contains(&output.digest) && counted.insert((output.digest, output.artifact_type.clone())) {
                *usage.by_type.entry(output.artifact_type).or_default() += Count::one(output.bytes);
            }
        }
        Ok(usage)
    }
}
