//! What is in the cache, who uses it and what must stay, read once before anything is removed. Changes nothing.

use super::{Evicted, GRACE};
use crate::claim::Lock;
use crate::record::{self, Found};
use crate::{Cache, CacheError, Digest, Key, walk};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub(super) struct Stored {
    pub key: Key,
    pub path: PathBuf,
    /// When it was used last: the file's time, or that of the last run that reached it.
    pub used: SystemTime,
    /// The file's time, which a use renews while garbage is collected.
    pub dated: SystemTime,
    /// Each digest once.
    pub outputs: HashSet<Digest>,
    /// What is told when it goes.
    pub about: Arc<Evicted>,
}

pub(super) struct Blob {
    pub path: PathBuf,
    pub written: SystemTime,
}

pub(super) struct Survey {
    /// All bytes under the root.
    pub total: u64,
    pub blobs: BTreeMap<Digest, Blob>,
    pub records: Vec<Stored>,
    keys: HashSet<Key>,
    /// The number of records that name each blob.
    pub uses: HashMap<Digest, usize>,
    /// Checkpoints, and when the newest was written.
    pub scratch: Vec<(Key, PathBuf, SystemTime)>,
    pub pinned: HashSet<Key>,
    /// When runs reached a key last.
    reached: HashMap<Key, SystemTime>,
    /// Keys whose lock file is held, and keys whose holder was killed.
    pub claimed: HashSet<Key>,
    pub abandoned: Vec<Key>,
    /// What was written later may be waiting for its record.
    pub settled_before: SystemTime,
}

impl Survey {
    pub fn of(cache: &Cache, keep_runs: usize) -> Result<Self, CacheError> {
        let layout = cache.layout();
        let mut survey = Survey {
            total: walk::measure(layout.root())?.bytes,
            blobs: BTreeMap::new(),
            records: Vec::new(),
            keys: HashSet::new(),
            uses: HashMap::new(),
            scratch: Vec::new(),
            pinned: HashSet::new(),
            reached: HashMap::new(),
            claimed: HashSet::new(),
            abandoned: Vec::new(),
            settled_before: cache.now() - GRACE,
        };
        let runs = cache.runs()?;
        for run in &runs {
            for key in &run.reached {
                let used = survey.reached.entry(*key).or_insert(run.used);
                *used = run.used.max(*used);
            }
        }
        survey.pinned = crate::run::pinned(runs, keep_runs);
        survey.pinned.extend(crate::shared::waiting(layout)?);
        // Claims, then blobs, then records: what is committed meanwhile is either claimed in the first look, or found
        // by the last one.
        survey.see_claims(cache)?;
        for (digest, entry) in walk::blobs(layout)? {
            let written = entry.metadata.modified().map_err(CacheError::io("read", &entry.path))?;
            survey.blobs.insert(digest, Blob { path: entry.path, written });
        }
        survey.see_records(cache)?;
        for entry in walk::entries(&layout.scratches())? {
            if let Ok(key) = entry.name.parse() {
                let used = newest(&entry.path)?;
                survey.scratch.push((key, entry.path, used));
            }
        }
        Ok(survey)
    }

    pub fn has_record(&self, key: Key) -> bool {
        self.keys.contains(&key)
    }

    /// A long stage may write its first output hours before its record: nothing written since the oldest claim at work
    /// counts as settled.
    fn see_claims(&mut self, cache: &Cache) -> Result<(), CacheError> {
        for entry in walk::entries(&cache.layout().claims())? {
            let Some(key) = entry.name.strip_suffix(".lock").and_then(|name| name.parse().ok()) else { continue };
            if Lock::is_held(&entry.path)? {
                self.claimed.insert(key);
                let since = entry.metadata.modified().map_err(CacheError::io("read", &entry.path))?;
                self.settled_before = self.settled_before.min(since);
            } else {
                self.abandoned.push(key);
            }
        }
        Ok(())
    }

    fn see_records(&mut self, cache: &Cache) -> Result<(), CacheError> {
        for (key, entry) in walk::records(cache.layout())? {
            let record = match record::find(cache.layout(), key)? {
                Found::Record(record) => record,
                Found::Newer(format) => return Err(CacheError::NewerRecord { path: entry.path, format }),
                Found::Absent | Found::Broken => continue,
            };
            let outputs: HashSet<Digest> = record.outputs.values().map(|output| output.digest).collect();
            for digest in &outputs {
                *self.uses.entry(*digest).or_default() += 1;
            }
            let dated = entry.metadata.modified().map_err(CacheError::io("read", &entry.path))?;
            let used = self.reached.get(&key).map_or(dated, |reached| dated.max(*reached));
            self.keys.insert(key);
            let since_1970 = Duration::try_from_secs_f64(record.provenance.started_unix).unwrap_or_default();
            let made = SystemTime::UNIX_EPOCH.checked_add(since_1970).unwrap_or(SystemTime::UNIX_EPOCH);
            let (pipeline, node, description) = (record.pipeline, record.node, record.description);
            let about = Arc::new(Evicted { key, pipeline, node, description, made, used });
            self.records.push(Stored { key, path: entry.path, used, dated, outputs, about });
        }
        Ok(())
    }
}

/// When anything below a path was last written.
fn newest(path: &Path) -> Result<SystemTime, CacheError> {
    let mut newest = SystemTime::UNIX_EPOCH;
    if let Ok(written) = path.metadata().and_then(|metadata| metadata.modified()) {
        newest = written;
    }
    for entry in walk::entries(path)? {
        let written = if entry.metadata.is_dir() {
            self::newest(&entry.path)?
        } else {
            entry.metadata.modified().map_err(CacheError::io("read", &entry.path))?
        };
        newest = newest.max(written);
    }
    Ok(newest)
}
