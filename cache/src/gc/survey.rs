//! What is in the cache, who uses it and what must stay, read once before anything is removed. Changes nothing.

use super::{Evicted, GRACE};
use crate::claim::Lock;
use crate::clock::STEP;
use crate::record::{self, Found};
use crate::{Cache, CacheError, Digest, Key, disk, walk};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

pub(super) struct Stored {
    pub path: PathBuf,
    /// The file's time, which a use renews while garbage is collected.
    pub dated: SystemTime,
    /// Whether a use from now on shows in that time: a clock that goes in steps gives one step the same time twice.
    pub shows_use: bool,
    /// Each digest once.
    pub outputs: HashSet<Digest>,
    /// What is told when it goes. It was used last at the file's time, or when the last run reached it.
    pub about: Evicted,
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
    /// Keys whose lock file is held, and keys whose holder was killed.
    pub claimed: HashSet<Key>,
    pub abandoned: Vec<Key>,
    /// What was written later may be waiting for its record.
    pub settled_before: SystemTime,
    /// A blob that was written later may be an output of a stage that is at work, also where another record names it: when the
    /// oldest claim at work was taken, or claims were looked at.
    pub unclaimed_before: SystemTime,
}

impl Survey {
    /// Looks at everything. Before a collection that removes something, records whose time is that of this moment are looked
    /// at once more, a step of the clock later.
    pub fn of(cache: &Cache, keep_runs: usize, dry_run: bool) -> Result<Self, CacheError> {
        let layout = cache.layout();
        let mut survey = Survey {
            total: walk::measure(layout.root())?.bytes,
            blobs: BTreeMap::new(),
            records: Vec::new(),
            keys: HashSet::new(),
            uses: HashMap::new(),
            scratch: Vec::new(),
            pinned: HashSet::new(),
            claimed: HashSet::new(),
            abandoned: Vec::new(),
            settled_before: cache.now() - GRACE,
            unclaimed_before: cache.now(),
        };
        // Claims, then blobs, then records: what is committed meanwhile is either claimed in the first look, or found
        // by the last one. Then what is pinned: a run pins before it commits, so that no record is seen without its pin.
        survey.see_claims(cache)?;
        for (digest, entry) in walk::blobs(layout)? {
            let written = entry.metadata.modified().map_err(CacheError::io("read", &entry.path))?;
            survey.blobs.insert(digest, Blob { path: entry.path, written });
        }
        survey.see_records(cache)?;
        if !dry_run {
            survey.look_again(cache)?;
        }
        survey.see_runs(cache, keep_runs)?;
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

    /// Whether a stage at work may have an output of the same bytes, and counts on the blob.
    pub fn is_awaited(&self, stored: &Stored) -> bool {
        let blobs = stored.outputs.iter().filter_map(|digest| self.blobs.get(digest));
        blobs.map(|blob| blob.written).any(|written| written >= self.unclaimed_before)
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
                self.unclaimed_before = self.unclaimed_before.min(since);
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
            self.keys.insert(key);
            let since_1970 = Duration::try_from_secs_f64(record.provenance.started_unix).unwrap_or_default();
            let made = SystemTime::UNIX_EPOCH.checked_add(since_1970).unwrap_or(SystemTime::UNIX_EPOCH);
            let (pipeline, node, description) = (record.pipeline, record.node, record.description);
            let about = Evicted { key, pipeline, node, description, made, used: dated };
            self.records.push(Stored { path: entry.path, dated, shows_use: true, outputs, about });
        }
        Ok(())
    }

    /// Looks at records of this moment once more. Those that were used meanwhile have the time of that, and stay.
    fn look_again(&mut self, cache: &Cache) -> Result<(), CacheError> {
        let is_new = |dated: SystemTime| dated + STEP > cache.now();
        let mut new: Vec<&mut Stored> = self.records.iter_mut().filter(|stored| is_new(stored.dated)).collect();
        if !new.is_empty() {
            thread::sleep(STEP);
        }
        for stored in &mut new {
            let dated = disk::look(&stored.path).and_then(|metadata| metadata.modified());
            // One that is gone is nobody's.
            stored.shows_use = dated.is_ok_and(|dated| dated == stored.dated);
        }
        Ok(())
    }

    /// What runs have reached, and when; what of it stays.
    fn see_runs(&mut self, cache: &Cache, keep_runs: usize) -> Result<(), CacheError> {
        let runs = cache.runs()?;
        let mut reached: HashMap<Key, SystemTime> = HashMap::new();
        for run in &runs {
            for key in &run.reached {
                let used = reached.entry(*key).or_insert(run.used);
                *used = run.used.max(*used);
            }
        }
        for about in self.records.iter_mut().map(|stored| &mut stored.about) {
            about.used = reached.get(&about.key).map_or(about.used, |reached| about.used.max(*reached));
        }
        self.pinned = crate::run::pinned(runs, keep_runs);
        self.pinned.extend(crate::shared::waiting(cache.layout())?);
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
