//! Garbage of a remote, beside its users. Two collections, a day or more apart by the store's own clock: the first notes what
//! nobody needs, a later one removes what is noted, still as it was, and still of no use. Records go before blobs. Nothing
//! holds the users up: who sends a result sends its blobs anew, and looks whether one of them is about to be removed
//! before it writes the record (`Shared::publish`).

mod survey;

use super::asking::Asking;
use super::remote::{self, Remote, drawn};
use super::store::{Seen, Store, StoreError};
use super::there::{self, There, What};
use crate::layout::Layout;
use crate::{CacheError, Count, Digest, sealed};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use survey::Survey;

/// The folder of a collection's notes in a store.
pub const FOLDER: &str = "gc-v1";
/// What was noted to be garbage.
const NOTED: &str = "gc-v1/noted";
/// Written to see what time it is there.
const NOW: &str = "gc-v1/now";
/// How the lists begin of what is removed at present.
const REMOVING: &str = "gc-v1/removing-";
/// No note is longer.
const LIMIT: u64 = 256 << 20;
/// So many blobs are removed at a time.
const BATCH: usize = 100;
/// A list of what is removed that is older was left by a collection that was killed.
const ABANDONED: Duration = Duration::from_secs(3600);
/// How long the blobs of a record may take to be sent, first to last, before they are sent anew.
pub(super) const LONGEST_SENDING: Duration = Duration::from_secs(3 * 24 * 3600);

/// What a collection of a remote keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// What the last so many runs of each pipeline reached. Runs that reached nothing new do not count.
    pub keep_runs: usize,
    /// What was written, or reached by a run, so long ago or later.
    pub keep: Duration,
    /// The least time between the note and the removal; also how long a process without a heartbeat may live.
    pub grace: Duration,
    /// Blobs that are younger may belong to a record that is about to be written.
    pub settled: Duration,
    /// Say what would be done, and do nothing.
    pub dry_run: bool,
}

impl Default for Rules {
    fn default() -> Self {
        let day = Duration::from_secs(24 * 3600);
        Rules { keep_runs: 3, keep: day * 30, grace: day, settled: day * 7, dry_run: true }
    }
}

/// What `ddpipe cache gc --remote` shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// The remote's URL.
    pub url: String,
    /// Whether nothing was done.
    pub dry_run: bool,
    /// Records that are there, before.
    pub records: Count,
    /// Blobs that are there, before.
    pub blobs: Count,
    /// Records that runs reach, or that are young.
    pub needed: usize,
    /// Records that were removed, or would be.
    pub removed_records: Count,
    /// Blobs that were removed, or would be.
    pub removed_blobs: Count,
    /// Leases, heartbeats and lists of ended processes that were removed, or would be.
    pub removed_notes: u64,
    /// Records and blobs that are noted to be garbage now, for a later collection.
    pub noted: Count,
    /// After how long a collection removes what is noted.
    pub due: Duration,
}

/// What was noted, by name, as it was then.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Noted {
    objects: BTreeMap<String, As>,
}

/// What tells whether an object is the one that was noted: its length, its version, and when it was written, in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct As(u64, u64, u64);

impl As {
    fn of(seen: &Seen) -> Self {
        let written = seen.written.duration_since(UNIX_EPOCH).unwrap_or_default();
        As(seen.bytes, seen.version, written.as_secs())
    }
}

impl Remote {
    /// Notes what nobody needs there, and removes what was noted long enough ago. Dry unless told otherwise.
    ///
    /// # Errors
    /// It does not answer; it is a cache folder that runs use; records of a newer ddpipe are there, whose outputs would look
    /// like garbage.
    pub fn collect(&self, rules: Rules) -> Result<Collected, CacheError> {
        let asking = self.asking();
        collect(&asking, rules).map_err(|error| remote::unusable(&asking, error))
    }
}

fn collect(asking: &Asking, rules: Rules) -> Result<Collected, StoreError> {
    remote::known(asking)?;
    refuse_caches(asking)?;
    let now = if rules.dry_run { SystemTime::now() } else { time_there(asking)? };
    let survey = Survey::of(asking, rules, now)?;
    let mut collected = Collected {
        url: asking.url().to_string(),
        dry_run: rules.dry_run,
        records: survey.records.iter().map(|there| there.seen.bytes).fold(Count::default(), add),
        blobs: survey.blobs.iter().map(|(_, _, seen)| seen.bytes).fold(Count::default(), add),
        needed: survey.needed,
        ..Collected::default()
    };
    collected.removed_notes = survey.ended.len() as u64;
    if !rules.dry_run {
        asking.change(|store| store.delete(&survey.ended))?;
    }
    let noted = noted(asking)?;
    let age = noted.as_ref().map(|(_, written)| now.duration_since(*written).unwrap_or_default());
    let mut garbage = survey.garbage();
    match (&noted, age) {
        (Some((noted, _)), Some(age)) if age >= rules.grace => {
            let gone = Removal { asking, rules, survey: &survey, noted }.carry_out(&mut collected)?;
            garbage.objects.retain(|name, _| !gone.contains(name));
            note(asking, rules, &garbage)?;
            collected.due = rules.grace;
        }
        // It stays as it is: noted anew each day it would never be old enough.
        (Some((noted, _)), Some(age)) => {
            garbage.objects.retain(|name, seen| noted.objects.get(name) == Some(seen));
            collected.due = rules.grace.saturating_sub(age);
        }
        _ => {
            note(asking, rules, &garbage)?;
            collected.due = rules.grace;
        }
    }
    collected.noted = garbage.objects.values().map(|seen| seen.0).fold(Count::default(), add);
    if !rules.dry_run {
        asking.change(|store| store.delete(&[NOW.to_string()]))?;
    }
    Ok(collected)
}

fn add(mut count: Count, bytes: u64) -> Count {
    count += Count::one(bytes);
    count
}

/// A cache folder with runs of its own says in these what is needed, and has locks.
fn refuse_caches(asking: &Asking) -> Result<(), StoreError> {
    if asking.ask(|store| store.list("runs"))?.is_empty() {
        return Ok(());
    }
    let folder = asking.url().strip_prefix("file://").unwrap_or(asking.url());
    Err(StoreError::Other(format!(
        "it is a cache folder that runs use\n  collect its garbage with `ddpipe cache gc --cache {folder}`"
    )))
}

/// What time it is by the store's clock.
fn time_there(asking: &Asking) -> Result<SystemTime, StoreError> {
    let text = drawn();
    asking.change(|store| store.put(NOW, text.len() as u64, &mut text.as_bytes()))?;
    let seen = asking.ask(|store| store.head(NOW))?;
    Ok(seen.ok_or_else(|| StoreError::Other(format!("{NOW} is not there after it was written")))?.written)
}

/// What an earlier collection noted, and when; nothing where that cannot be read.
fn noted(asking: &Asking) -> Result<Option<(Noted, SystemTime)>, StoreError> {
    let Some(seen) = asking.ask(|store| store.head(NOTED))? else { return Ok(None) };
    let text = asking.ask(|store| store.get(NOTED, LIMIT))?;
    Ok(text.and_then(|text| sealed::open_value(&text)).map(|noted| (noted, seen.written)))
}

fn note(asking: &Asking, rules: Rules, garbage: &Noted) -> Result<(), StoreError> {
    if rules.dry_run {
        return Ok(());
    }
    if garbage.objects.is_empty() {
        return asking.change(|store| store.delete(&[NOTED.to_string()]));
    }
    let text = sealed::seal_large(garbage).map_err(|error| StoreError::Other(error.to_string()))?;
    asking.change(|store| store.put(NOTED, text.len() as u64, &mut text.as_slice())).map(drop)
}

/// The removal of what is noted.
struct Removal<'a> {
    asking: &'a Asking,
    rules: Rules,
    survey: &'a Survey,
    noted: &'a Noted,
}

impl Removal<'_> {
    fn is_noted(&self, name: &str, seen: &Seen) -> bool {
        self.noted.objects.get(name) == Some(&As::of(seen))
    }

    /// Removes records, and then blobs; the names of what is gone.
    fn carry_out(&self, collected: &mut Collected) -> Result<HashSet<String>, StoreError> {
        let records = self.survey.records.iter().filter(|there| self.survey.is_garbage(there));
        let records: Vec<&There> = records.filter(|there| self.is_noted(&there.name, &there.seen)).collect();
        let mut gone = HashSet::new();
        for batch in records.chunks(BATCH) {
            let left = self.unchanged(batch, |there| (&there.name, &there.seen))?;
            let names: Vec<String> = left.iter().map(|there| there.name.clone()).collect();
            if !self.rules.dry_run {
                self.asking.change(|store| store.delete(&names))?;
            }
            left.iter().for_each(|there| collected.removed_records += Count::one(there.seen.bytes));
            gone.extend(names);
        }
        let named = self.named(&gone)?;
        let blobs = self.survey.blobs.iter().filter(|(digest, name, seen)| {
            !named.contains(digest) && self.survey.is_settled(seen) && self.is_noted(name, seen)
        });
        let blobs: Vec<&(Digest, String, Seen)> = blobs.collect();
        for batch in blobs.chunks(BATCH) {
            self.remove_blobs(batch, collected, &mut gone)?;
        }
        Ok(gone)
    }

    /// What the records name that are there now, those that were written since the survey among them.
    fn named(&self, gone: &HashSet<String>) -> Result<HashSet<Digest>, StoreError> {
        let kept = self.survey.records.iter().filter(|there| !gone.contains(&there.name));
        let known: BTreeMap<&String, &There> = kept.map(|there| (&there.name, there)).collect();
        let listed = self.asking.ask(|store| store.list(Layout::RECORDS))?;
        let is_new = |(name, seen): &&(String, Seen)| {
            !gone.contains(name) && known.get(name).is_none_or(|there| there.seen != *seen)
        };
        let new: Vec<(String, Seen)> = listed.iter().filter(is_new).cloned().collect();
        let new = there::records(self.asking, &new, &|_, _| {})?;
        survey::refuse_newer(&new)?;
        Ok(known.into_values().chain(&new).flat_map(outputs).collect())
    }

    /// Those that are still as they were seen.
    fn unchanged<'b, T: Sync>(
        &self,
        batch: &'b [T],
        told: impl Fn(&T) -> (&String, &Seen) + Sync,
    ) -> Result<Vec<&'b T>, StoreError> {
        let look = |item: &T| {
            let (name, seen) = told(item);
            Ok(self.asking.ask(|store| store.head(name))?.is_some_and(|now| As::of(&now) == As::of(seen)))
        };
        let same = there::at_once(batch, there::AT_ONCE, look, &|_, _| {})?;
        Ok(batch.iter().zip(same).filter_map(|(item, same)| same.then_some(item)).collect())
    }

    /// First says which, then looks whether they are still as they were, then removes them. Who writes a blob anew before that
    /// look is seen by it; who writes one after it sees the list, and waits with the record.
    fn remove_blobs(
        &self,
        batch: &[&(Digest, String, Seen)],
        collected: &mut Collected,
        gone: &mut HashSet<String>,
    ) -> Result<(), StoreError> {
        let list = format!("{REMOVING}{}", drawn());
        let text = batch.iter().map(|(digest, ..)| format!("{}\n", digest.hex())).collect::<String>();
        if !self.rules.dry_run {
            self.asking.change(|store| store.put(&list, text.len() as u64, &mut text.as_bytes()))?;
        }
        let left = self.unchanged(batch, |(_, name, seen)| (name, seen))?;
        let names: Vec<String> = left.iter().map(|(_, name, _)| name.clone()).collect();
        if !self.rules.dry_run {
            self.asking.change(|store| store.delete(&names))?;
            self.asking.change(|store| store.delete(std::slice::from_ref(&list)))?;
        }
        left.iter().for_each(|(_, _, seen)| collected.removed_blobs += Count::one(seen.bytes));
        gone.extend(names);
        Ok(())
    }
}

/// The outputs of a record; none of what is no record.
fn outputs(there: &There) -> BTreeSet<Digest> {
    match &there.what {
        What::Record(record, _) => record.outputs.values().map(|output| output.digest).collect(),
        What::Newer(_) | What::Damaged => BTreeSet::new(),
    }
}

/// Whether one of these blobs is about to be removed by a collection.
pub(super) fn is_removing(store: &dyn Store, digests: &BTreeSet<Digest>) -> Result<bool, StoreError> {
    for (name, _) in store.list(FOLDER)? {
        if !name.starts_with(REMOVING) {
            continue;
        }
        let text = store.get(&name, LIMIT)?.unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        if text.lines().filter_map(|line| line.parse().ok()).any(|digest: Digest| digests.contains(&digest)) {
            return Ok(true);
        }
    }
    Ok(false)
}
