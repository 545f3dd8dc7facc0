//! Runs: a folder for each, named so that names sort by time, with what the run reached. The last runs of each pipeline
//! pin that against `gc`, and so do those that are kept (`kept.rs`). Knows not what else is in the folder: events and
//! reports are the engine's.

use crate::aside::Aside;
use crate::claim::{Attempt, Lock};
use crate::layout::Layout;
use crate::sealed;
use crate::{Cache, CacheError, Digest, Holder, Key, disk, kept, walk};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

const REACHED: &str = "reached.json";
/// Keys that were reached since that file was written, a line each.
const SINCE: &str = "reached.log";
/// So many keys at once are written into the file and not behind it.
const MANY: usize = 64;
pub(crate) const RUNNING: &str = "running.lock";
/// The file among the runs that has the number of the last one.
const LAST: &str = "last";

#[derive(Deserialize)]
struct Reached {
    pipeline: String,
    /// Grows by one with every run of the cache, whatever the clock says; 0 of runs before there were numbers.
    #[serde(default)]
    number: u64,
    #[serde(default)]
    part_of: Option<String>,
    keys: BTreeSet<Key>,
}

/// The same to be written.
#[derive(Serialize)]
struct Reaches<'a> {
    pipeline: &'a str,
    number: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    part_of: Option<&'a str>,
    keys: &'a BTreeSet<Key>,
}

/// The number alone.
#[derive(Deserialize)]
struct Numbered {
    #[serde(default)]
    number: u64,
}

/// A run of this process. While it lives, what it reached is pinned.
#[derive(Debug)]
pub struct RunDir {
    cache: Cache,
    id: String,
    path: PathBuf,
    pipeline: String,
    number: u64,
    part_of: Option<String>,
    reached: Mutex<Reaching>,
    /// Held for its `Drop`, and seen by `gc` and by lists of runs.
    _running: Lock,
}

/// What a run has reached so far.
#[derive(Debug, Default)]
struct Reaching {
    keys: BTreeSet<Key>,
    /// Whether some of them are not in the file yet, but behind it.
    behind: bool,
}

/// A run as its folder shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct RunSeen {
    /// The folder's name.
    pub id: String,
    /// The folder.
    pub path: PathBuf,
    /// The pipeline's name.
    pub pipeline: String,
    /// Its number among the runs of the cache; 0 of runs before there were numbers.
    pub number: u64,
    /// The run that it is a part of: this is what one of its pilots did.
    pub part_of: Option<String>,
    /// The keys whose records it used or made.
    pub reached: Vec<Key>,
    /// The process of the run, while it is at work.
    pub running: Option<Holder>,
    /// Whether it is kept: then it pins what it reached, however old it is.
    pub kept: bool,
    /// The name that it is kept as.
    pub name: Option<String>,
    /// When it noted last what it reached.
    pub(crate) used: SystemTime,
}

impl RunSeen {
    /// Whether its process is at work now.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn is_at_work(&self) -> Result<bool, CacheError> {
        Ok(Lock::holder(&self.path.join(RUNNING))?.is_some())
    }
}

impl Cache {
    /// A new folder for a run of this pipeline, such as `runs/20261121-101502-a1b2`: UTC, then the fraction of the
    /// second in steps of 1/65536 s.
    pub fn new_run(&self, pipeline: &str) -> Result<RunDir, CacheError> {
        self.begin_run(pipeline, None)
    }

    /// A new folder for what this process does of a run of several, which has another folder.
    pub fn new_part(&self, pipeline: &str, run: &str) -> Result<RunDir, CacheError> {
        self.begin_run(pipeline, Some(run.to_string()))
    }

    fn begin_run(&self, pipeline: &str, part_of: Option<String>) -> Result<RunDir, CacheError> {
        let (id, path) = loop {
            let id = id_at(SystemTime::now());
            let path = self.layout().runs().join(&id);
            match disk::make_folder(&path) {
                Ok(()) => break (id, path),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => thread::sleep(Duration::from_micros(20)),
                Err(error) => return Err(CacheError::io("create", &path)(error)),
            }
        };
        let lock = path.join(RUNNING);
        let mut running = loop {
            match Lock::attempt(&lock)? {
                Attempt::Locked(lock) => break lock,
                // The folder is ours; it is somebody who looks whether this run is at work.
                Attempt::Held(_) => thread::sleep(Duration::from_millis(1)),
            }
        };
        running.sign(&Holder::me(pipeline));
        self.clock().saw(&lock);
        let number = self.next_number()?;
        let (pipeline, reached) = (pipeline.to_string(), Mutex::default());
        let run = RunDir { cache: self.clone(), id, path, pipeline, number, part_of, reached, _running: running };
        run.write_reached(&BTreeSet::new())?;
        Ok(run)
    }

    /// The number of the next run. Two runs that begin at once may get the same; then their names decide.
    fn next_number(&self) -> Result<u64, CacheError> {
        let path = self.layout().runs().join(LAST);
        let last = match disk::read(&path).ok().and_then(|text| opened_last(&text)) {
            Some(last) => last,
            None => self.runs()?.iter().map(|run| run.number).max().unwrap_or(0),
        };
        // A power cut may bring back an older text of that file, or runs that have no number in it.
        let newest = walk::entries(&self.layout().runs())?.into_iter().rev().find_map(|entry| {
            let text = disk::read(&entry.path.join(REACHED)).ok()?;
            sealed::open_value(&text).map(|Numbered { number }| number)
        });
        let number = last.max(newest.unwrap_or(0)).saturating_add(1);
        let mut aside = Aside::new(&self.layout().records_tmp())?;
        aside.write(sealed_last(number).as_bytes())?;
        aside.publish_accelerator(&path)?;
        Ok(number)
    }

    /// All runs, oldest first: in the order in which they began, whatever the clock said.
    pub fn runs(&self) -> Result<Vec<RunSeen>, CacheError> {
        let mut runs = Vec::new();
        for entry in walk::entries(&self.layout().runs())? {
            // In this order: what goes from the one into the other is seen in one of them.
            let since = read_since(&entry.path.join(SINCE))?;
            // A run whose file was damaged pins what stands behind it.
            let damaged = (!since.is_empty()).then(|| Reached {
                pipeline: String::new(),
                number: 0,
                part_of: None,
                keys: BTreeSet::new(),
            });
            if let Some(mut reached) = read(&entry.path.join(REACHED))?.or(damaged) {
                reached.keys.extend(since);
                let kept = kept::read(&entry.path)?;
                let times = [SINCE, REACHED].map(|name| disk::look(&entry.path.join(name)).ok()?.modified().ok());
                runs.push(RunSeen {
                    used: times.into_iter().flatten().max().unwrap_or(SystemTime::UNIX_EPOCH),
                    running: Lock::holder(&entry.path.join(RUNNING))?,
                    kept: kept.is_some(),
                    name: kept.and_then(|kept| kept.name),
                    id: entry.name,
                    path: entry.path,
                    pipeline: reached.pipeline,
                    number: reached.number,
                    part_of: reached.part_of,
                    reached: reached.keys.into_iter().collect(),
                });
            }
        }
        runs.sort_by(|one, other| (one.number, &one.id).cmp(&(other.number, &other.id)));
        Ok(runs)
    }
}

/// What the last `keep` runs of each pipeline reached, and what kept runs and runs at work have reached. Only runs that
/// reached something new count, so that neither failed attempts nor looks at old results unpin good ones.
pub(crate) fn pinned(runs: Vec<RunSeen>, keep: usize) -> HashSet<Key> {
    let mut pinned = HashSet::new();
    let mut counted = Counted::new(keep);
    for run in runs.into_iter().rev() {
        if counted.is_among_the_last(&run) || run.kept || run.running.is_some() {
            pinned.extend(run.reached);
        }
    }
    pinned
}

/// Notes in the files of the records that a run reached when that was: its folder, which says it so far, is about to go.
pub(crate) fn date_records(layout: &Layout, run: &RunSeen) {
    for path in run.reached.iter().map(|key| layout.record(*key)) {
        let older = disk::look(&path).and_then(|seen| seen.modified()).is_ok_and(|dated| dated < run.used);
        if older && let Err(error) = disk::date(&path, run.used) {
            tracing::debug!(path = %path.display(), %error, "the time of use was not noted");
        }
    }
}

/// Counts the runs of each pipeline, told from the newest to the oldest. A run that reached nothing but what a later one of
/// the same pipeline reached too does not count, and the parts of a run count as one.
pub(crate) struct Counted {
    keep: usize,
    pipelines: HashMap<String, (HashSet<String>, HashSet<Key>)>,
}

impl Counted {
    pub fn new(keep: usize) -> Self {
        Counted { keep, pipelines: HashMap::new() }
    }

    /// Whether this run is one of the last `keep` that count, or repeats one of them.
    pub fn is_among_the_last(&mut self, run: &RunSeen) -> bool {
        let (runs, reached) = self.pipelines.entry(run.pipeline.clone()).or_default();
        if run.reached.iter().any(|key| !reached.contains(key)) {
            runs.insert(run.part_of.clone().unwrap_or_else(|| run.id.clone()));
            if runs.len() <= self.keep {
                reached.extend(&run.reached);
            }
        }
        runs.len() <= self.keep
    }
}

impl RunDir {
    /// The folder's name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The pipeline's name.
    pub fn pipeline(&self) -> &str {
        &self.pipeline
    }

    /// Whether it is what one process does of a run of several.
    pub fn is_part(&self) -> bool {
        self.part_of.is_some()
    }

    /// What it has reached so far.
    pub fn reached(&self) -> Vec<Key> {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner).keys.iter().copied().collect()
    }

    /// Writes a file into the folder: whole or absent to every process, but not flushed.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), CacheError> {
        let mut aside = Aside::new(&self.path)?;
        aside.write(bytes)?;
        aside.publish_accelerator(&self.path.join(name))
    }

    /// Adds to what this run reached, and so marks these records as used now. Call it with what planning found, then with
    /// what each stage commits: only what is pinned is safe from a `gc` beside this run.
    pub fn pin(&self, keys: &[Key]) -> Result<(), CacheError> {
        let mut reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        let new: Vec<Key> = keys.iter().copied().filter(|key| reached.keys.insert(*key)).collect();
        if new.is_empty() {
            return Ok(());
        }
        if let Some(shared) = self.cache.shared() {
            shared.leases.reaches(&self.id, &self.pipeline, &new);
        }
        if new.len() < MANY {
            let lines: String = new.iter().map(|key| sealed_line(*key)).collect();
            let path = self.path.join(SINCE);
            disk::append(&path, lines.as_bytes()).map_err(CacheError::io("write", &path))?;
            reached.behind = true;
        } else {
            self.write_reached(&reached.keys)?;
        }
        // A collection that began before the pin was written goes by the times of records.
        if self.cache.is_collecting()? {
            self.cache.touch(&new);
        }
        Ok(())
    }

    /// Writes all that this run reached into one file. Call it at the end; until then it is in two.
    pub fn settle(&self) -> Result<(), CacheError> {
        let mut reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        if !reached.behind {
            return Ok(());
        }
        self.write_reached(&reached.keys)?;
        reached.behind = false;
        let path = self.path.join(SINCE);
        disk::unlink(&path).map_err(CacheError::io("remove", &path))
    }

    fn write_reached(&self, keys: &BTreeSet<Key>) -> Result<(), CacheError> {
        let path = self.path.join(REACHED);
        let part_of = self.part_of.as_deref();
        let reached = Reaches { pipeline: &self.pipeline, number: self.number, part_of, keys };
        let text = sealed::seal_large(&reached).map_err(|error| CacheError::io("write", &path)(error.into()))?;
        let mut aside = Aside::new(&self.path)?;
        aside.write(&text)?;
        // Not flushed: a run with nothing to do should take milliseconds, and a power cut costs a pin, not a result.
        aside.publish_accelerator(&path)
    }
}

/// A key with a check that shows damage.
fn sealed_line(key: Key) -> String {
    let hex = key.hex();
    format!("{hex} {}\n", Digest::of(hex.as_bytes()).short())
}

/// The keys of the lines that are whole and undamaged.
fn read_since(path: &Path) -> Result<Vec<Key>, CacheError> {
    let text = match disk::read(path) {
        Ok(text) => text,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Vec::new(),
        Err(error) => return Err(CacheError::io("read", path)(error)),
    };
    let key = |line: &str| {
        let key = line.split(' ').next()?.parse().ok()?;
        (sealed_line(key).trim_end() == line).then_some(key)
    };
    Ok(String::from_utf8_lossy(&text).lines().filter_map(key).collect())
}

fn read(path: &Path) -> Result<Option<Reached>, CacheError> {
    match disk::read(path) {
        // One that is damaged pins nothing and is no run.
        Ok(text) => Ok(sealed::open_value(&text)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(CacheError::io("read", path)(error)),
    }
}

/// The text that keeps the number of the last run: the number, and a check that shows damage.
fn sealed_last(number: u64) -> String {
    format!("{number} {}\n", Digest::of(number.to_string().as_bytes()).short())
}

/// The number of the last run; none where the text is damaged or cut, and then the runs themselves say it.
fn opened_last(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let number = text.split(' ').next()?.parse().ok()?;
    (text == sealed_last(number)).then_some(number)
}

/// The name of a run that begins at this time.
fn id_at(time: SystemTime) -> String {
    // A clock that was never set may be before 1970; `jiff` ends with the year 9999.
    let time = Timestamp::try_from(time).unwrap_or(Timestamp::MAX).max(Timestamp::UNIX_EPOCH);
    let fraction = i64::from(time.subsec_nanosecond()) * 65_536 / 1_000_000_000;
    format!("{}-{fraction:04x}", time.strftime("%Y%m%d-%H%M%S"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn identifiers_are_dates_and_sort_by_time() {
        // Seconds from `date -u -d '…' +%s`.
        for (seconds, id) in [
            (0, "19700101-000000-0000"),
            (951_782_400, "20000229-000000-0000"),
            (1_709_251_199, "20240229-235959-0000"),
            (1_735_689_600, "20250101-000000-0000"),
            (4_107_542_400, "21000301-000000-0000"),
        ] {
            assert_eq!(id_at(UNIX_EPOCH + Duration::from_secs(seconds)), id);
        }
        let times = [0, 1, 500, 999].map(|ms| id_at(UNIX_EPOCH + Duration::from_millis(86_399_000 + ms)));
        assert!(times.is_sorted() && times[3] < id_at(UNIX_EPOCH + Duration::from_secs(86_400)), "{times:?}");
    }
}
