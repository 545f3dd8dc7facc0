//! Garbage collection. Two passes over one survey of the cache: first what nothing can use any more, then, if a size is
//! given, what was used longest ago. Safe beside running processes: what is claimed, pinned or just written stays, and
//! everything is looked at again right before it goes. A dry run makes the same decisions and removes nothing.

mod survey;

use crate::claim::{Attempt, Lock};
use crate::layout::Layout;
use crate::run::Counted;
use crate::{Cache, CacheError, Digest, Key, RunSeen, beside, disk, walk};
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use survey::{Blob, Stored, Survey};

/// What is younger may belong to a record that is about to be written.
const GRACE: Duration = Duration::from_secs(3600);

/// Which things a collection removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GcOptions {
    /// Remove records, their blobs and checkpoints, those used longest ago first, until the cache has at most so many
    /// bytes. `None`: garbage only.
    pub max_size: Option<u64>,
    /// How many runs of each pipeline pin what they reached. Runs that reached nothing new do not count; those that are
    /// kept pin it anyway.
    pub keep_runs: usize,
    /// Remove the folders of all but the last so many runs of each pipeline, counted in the same way: their journals and
    /// what they were started with. `None`: keep them all.
    pub runs: Option<usize>,
    /// Report, but remove nothing.
    pub dry_run: bool,
}

impl Default for GcOptions {
    fn default() -> Self {
        GcOptions { max_size: None, keep_runs: 3, runs: None, dry_run: true }
    }
}

/// What a removed thing was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Garbage {
    /// A blob: of no record, or of records that went for the size.
    Blob,
    /// A record that went for the size.
    Record,
    /// Checkpoints: of a key that has its record, or that went for the size.
    Scratch,
    /// A file that was never published.
    Temporary,
    /// The lock file of a process that was killed.
    Claim,
    /// A damaged file that was set aside.
    Damaged,
    /// Files in the layout of an older version.
    OldVersion,
    /// The folder of a run.
    Run,
}

/// Something that was removed, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// What it was.
    pub what: Garbage,
    /// The path that it had.
    pub path: PathBuf,
    /// Bytes that the removal frees.
    pub bytes: u64,
    /// The record that goes for the size, where this is it or a blob that only it named.
    pub of: Option<Arc<Evicted>>,
}

/// A record that goes for the size: enough of it to say what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evicted {
    /// Its key.
    pub key: Key,
    /// The pipeline that ran it first.
    pub pipeline: String,
    /// The node that ran it first.
    pub node: String,
    /// What the key was made of.
    pub description: Vec<(String, String)>,
    /// When its stage started.
    pub made: SystemTime,
    /// When it was used last.
    pub used: SystemTime,
}

/// What `ddpipe cache gc` shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GcReport {
    /// Whether this was a dry run, which removes nothing.
    pub dry_run: bool,
    /// The removed things, in the order of removal.
    pub removed: Vec<Removal>,
    /// The bytes of the cache before.
    pub before: u64,
    /// The bytes of the cache after.
    pub after: u64,
    /// How many records the last runs pin.
    pub pinned: usize,
    /// How many keys are claimed by processes at work.
    pub claimed: usize,
    /// The bytes above `max_size` that could not be freed, because they are pinned, claimed or new.
    pub over: u64,
}

impl GcReport {
    /// The bytes freed, or that would be.
    pub fn freed(&self) -> u64 {
        self.removed.iter().map(|removal| removal.bytes).sum()
    }
}

impl Cache {
    /// Removes garbage, and with a `max_size` what was used longest ago. Dry unless told otherwise.
    ///
    /// # Errors
    /// [`CacheError::NewerRecord`]: without knowing a record's outputs, its blobs would look like garbage.
    pub fn gc(&self, options: GcOptions) -> Result<GcReport, CacheError> {
        // Before anything is looked at: who pins something from now on and sees nobody at work is seen by the survey.
        let _collecting = if options.dry_run { None } else { Some(self.begin_collecting()?) };
        let survey = Survey::of(self, options.keep_runs, options.dry_run)?;
        let mut collector = Collector { layout: self.layout(), options, report: GcReport::default(), gone: Vec::new() };
        collector.report = GcReport {
            dry_run: options.dry_run,
            before: survey.total,
            pinned: survey.records.iter().filter(|stored| survey.pinned.contains(&stored.about.key)).count(),
            claimed: survey.claimed.len(),
            ..GcReport::default()
        };
        if let Some(keep) = options.runs {
            collector.remove_runs(self.runs()?, keep)?;
        }
        collector.remove_leftovers(&survey)?;
        collector.remove_orphans(&survey)?;
        if let Some(max_size) = options.max_size {
            collector.shrink(&survey, max_size)?;
        }
        if !options.dry_run {
            // Not before: what stays must not look as if it had been used just now.
            collector.gone.iter().for_each(|run| crate::run::date_records(self.layout(), run));
        }
        let mut report = collector.report;
        if !options.dry_run && report.removed.iter().any(|removal| removal.what == Garbage::Record) {
            self.index().remove();
        }
        report.after = report.before.saturating_sub(report.freed());
        report.over = options.max_size.map_or(0, |max_size| report.after.saturating_sub(max_size));
        Ok(report)
    }
}

struct Collector<'a> {
    layout: &'a Layout,
    options: GcOptions,
    report: GcReport,
    /// The runs whose folders are removed.
    gone: Vec<RunSeen>,
}

impl Collector<'_> {
    fn remove(&mut self, what: Garbage, path: &Path) -> Result<(), CacheError> {
        self.remove_of(what, path, None)
    }

    fn remove_of(&mut self, what: Garbage, path: &Path, of: Option<&Arc<Evicted>>) -> Result<(), CacheError> {
        let bytes = walk::measure(path)?.bytes;
        if !self.options.dry_run {
            let removed = if path.is_dir() { disk::remove_tree(path) } else { disk::unlink(path) };
            match removed {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(CacheError::io("remove", path)(error)),
            }
        }
        self.report.removed.push(Removal { what, path: path.to_path_buf(), bytes, of: of.cloned() });
        Ok(())
    }

    /// Removes a file only if it is still as old as the survey saw it: whoever uses a file again renews its time.
    fn remove_unless_used(
        &mut self,
        what: Garbage,
        path: &Path,
        seen: SystemTime,
        of: Option<&Arc<Evicted>>,
    ) -> Result<bool, CacheError> {
        if disk::look(path).and_then(|metadata| metadata.modified()).is_ok_and(|now| now == seen) {
            self.remove_of(what, path, of)?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Removes a blob unless it was used, or somebody is about to count on it.
    fn remove_blob(&mut self, digest: Digest, blob: &Blob, of: Option<&Arc<Evicted>>) -> Result<(), CacheError> {
        let lock = if self.options.dry_run { None } else { Some(Lock::attempt(&self.layout.removal(digest))?) };
        if !matches!(lock, Some(Attempt::Held(_))) {
            self.remove_unless_used(Garbage::Blob, &blob.path, blob.written, of)?;
        }
        Ok(())
    }

    fn remove_leftovers(&mut self, survey: &Survey) -> Result<(), CacheError> {
        for entry in walk::entries(self.layout.root())? {
            if Layout::is_older_version(&entry.name) {
                self.remove(Garbage::OldVersion, &entry.path)?;
            }
            let settled = || entry.metadata.modified().is_ok_and(|made| made < survey.settled_before);
            if entry.name.starts_with(Layout::BESIDE) && settled() && !beside::is_at_work(&entry.path)? {
                self.remove(Garbage::Temporary, &entry.path)?;
            }
        }
        for entry in walk::entries(&self.layout.damaged())? {
            self.remove(Garbage::Damaged, &entry.path)?;
        }
        for folder in [self.layout.blobs_tmp(), self.layout.records_tmp()] {
            for entry in walk::entries(&folder)? {
                if entry.metadata.modified().is_ok_and(|written| written < survey.settled_before) {
                    self.remove(Garbage::Temporary, &entry.path)?;
                }
            }
        }
        for key in &survey.abandoned {
            let path = self.layout.claim(*key);
            let bytes = walk::measure(&path)?.bytes;
            // Locking a file that a killed process left, and letting go of it, removes it.
            if self.options.dry_run || matches!(Lock::attempt(&path)?, Attempt::Locked(_)) {
                self.report.removed.push(Removal { what: Garbage::Claim, path, bytes, of: None });
            }
        }
        for (key, path, _) in survey.scratch.iter().filter(|(key, ..)| survey.has_record(*key)) {
            self.unclaimed(*key, |collector| collector.remove(Garbage::Scratch, path))?;
        }
        Ok(())
    }

    fn remove_runs(&mut self, runs: Vec<RunSeen>, keep: usize) -> Result<(), CacheError> {
        let mut counted = Counted::new(keep);
        let mut in_vain: HashMap<String, usize> = HashMap::new();
        for run in runs.into_iter().rev() {
            let is_recent = if run.reached.is_empty() {
                let count = in_vain.entry(run.pipeline.clone()).or_default();
                *count += 1;
                *count <= keep
            } else {
                counted.is_among_the_last(&run)
            };
            if !is_recent && !run.kept && run.running.is_none() {
                self.remove(Garbage::Run, &run.path)?;
                self.gone.push(run);
            }
        }
        Ok(())
    }

    fn remove_orphans(&mut self, survey: &Survey) -> Result<(), CacheError> {
        for (digest, blob) in &survey.blobs {
            if !survey.uses.contains_key(digest) && blob.written < survey.settled_before {
                self.remove_blob(*digest, blob, None)?;
            }
        }
        Ok(())
    }

    fn shrink(&mut self, survey: &Survey, max_size: u64) -> Result<(), CacheError> {
        enum Candidate<'a> {
            Record(&'a Stored),
            Scratch(&'a Path),
        }
        let may_go = |stored: &&Stored| stored.shows_use && !survey.is_awaited(stored);
        let records = survey
            .records
            .iter()
            .filter(may_go)
            .map(|stored| (stored.about.used, stored.about.key, Candidate::Record(stored)));
        let unfinished = survey.scratch.iter().filter(|(key, ..)| !survey.has_record(*key));
        let scratch = unfinished.map(|(key, path, used)| (*used, *key, Candidate::Scratch(path)));
        let mut candidates: Vec<_> =
            records.chain(scratch).filter(|(_, key, _)| !survey.pinned.contains(key)).collect();
        candidates.sort_by_key(|(used, key, _)| (*used, *key));

        let mut uses = survey.uses.clone();
        for (_, key, candidate) in candidates {
            if self.report.before.saturating_sub(self.report.freed()) <= max_size {
                break;
            }
            self.unclaimed(key, |collector| match candidate {
                Candidate::Record(stored) => collector.evict(stored, survey, &mut uses),
                Candidate::Scratch(path) => collector.remove(Garbage::Scratch, path),
            })?;
        }
        Ok(())
    }

    /// Removes a record, then the blobs that only it named: a crash or a power cut in between leaves orphans, not records
    /// without their blobs.
    fn evict(&mut self, stored: &Stored, survey: &Survey, uses: &mut HashMap<Digest, usize>) -> Result<(), CacheError> {
        let about = Arc::new(stored.about.clone());
        if !self.remove_unless_used(Garbage::Record, &stored.path, stored.dated, Some(&about))? {
            return Ok(());
        }
        if !self.options.dry_run
            && let Some(shard) = stored.path.parent()
        {
            disk::sync_folder(shard).map_err(CacheError::io("flush", shard))?;
        }
        for digest in &stored.outputs {
            let Some(left) = uses.get_mut(digest) else { continue };
            *left -= 1;
            if *left == 0
                && let Some(blob) = survey.blobs.get(digest)
            {
                self.remove_blob(*digest, blob, Some(&about))?;
            }
        }
        Ok(())
    }

    /// Does it while holding the key's claim, so that nobody computes the key meanwhile; not if somebody does already.
    fn unclaimed(
        &mut self,
        key: Key,
        action: impl FnOnce(&mut Self) -> Result<(), CacheError>,
    ) -> Result<(), CacheError> {
        let path = self.layout.claim(key);
        if self.options.dry_run {
            return if Lock::is_held(&path)? { Ok(()) } else { action(self) };
        }
        match Lock::attempt(&path)? {
            Attempt::Locked(_lock) => action(self),
            Attempt::Held(_) => Ok(()),
        }
    }
}
