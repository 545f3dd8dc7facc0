//! What is in a remote, which of it somebody needs, and who has ended; read once before anything is removed. Changes nothing.

use super::{ABANDONED, As, FOLDER, Noted, REMOVING, Rules, outputs};
use crate::layout::Layout;
use crate::sealed;
use crate::shared::asking::Asking;
use crate::shared::beat;
use crate::shared::lease::{self, Name};
use crate::shared::reaches::{self, Reached};
use crate::shared::store::{Seen, StoreError};
use crate::shared::there::{self, There, What};
use crate::shared::{notes, packs, probe};
use crate::{Digest, Key};
use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime};

pub(super) struct Survey {
    pub records: Vec<There>,
    pub blobs: Vec<(Digest, String, Seen)>,
    /// How many records are needed.
    pub needed: usize,
    /// Leases, heartbeats and lists of processes that have ended, and lists of collections that were killed.
    pub ended: Vec<String>,
    /// The names of the records that nobody needs.
    garbage: HashSet<String>,
    rules: Rules,
    now: SystemTime,
}

impl Survey {
    pub fn of(asking: &Asking, rules: Rules, now: SystemTime) -> Result<Self, StoreError> {
        // Blobs before records, records before what was reached: what is written meanwhile is found by the later look.
        let blobs = asking.ask(|store| store.list(Layout::BLOBS))?;
        let named = |(name, seen): (String, Seen)| Some((Layout::named_blob(&name)?, name, seen));
        let listed = asking.ask(|store| store.list(Layout::RECORDS))?;
        let records = there::records(asking, &listed, &|_, _| {})?;
        refuse_newer(&records)?;
        let mut survey = Survey {
            records,
            blobs: blobs.into_iter().filter_map(named).collect(),
            needed: 0,
            ended: Vec::new(),
            garbage: HashSet::new(),
            rules,
            now,
        };
        let beats: HashMap<String, Seen> = asking.ask(|store| store.list(beat::FOLDER))?.into_iter().collect();
        let is_alive =
            |holder: &str| beats.get(&beat::object(holder)).is_some_and(|seen| survey.age(seen) < rules.grace);
        let reached = survey.reached(asking, &is_alive)?;
        let mut ended = survey.ended_notes(asking, &is_alive)?;
        ended.extend(beats.iter().filter(|(_, seen)| survey.age(seen) >= rules.grace).map(|(name, _)| name.clone()));
        ended.extend(reached.ended);
        let is_garbage = |there: &&There| match &there.what {
            What::Record(record, _) => !reached.keys.contains(&record.key) && survey.age(&there.seen) >= rules.keep,
            What::Damaged => survey.is_settled(&there.seen),
            What::Newer(_) => false,
        };
        let garbage: HashSet<String> =
            survey.records.iter().filter(is_garbage).map(|there| there.name.clone()).collect();
        survey.needed = survey.records.len() - garbage.len();
        (survey.garbage, survey.ended) = (garbage, ended);
        Ok(survey)
    }

    fn age(&self, seen: &Seen) -> Duration {
        self.now.duration_since(seen.written).unwrap_or_default()
    }

    /// Whether a blob is so old that no record is about to name it.
    pub fn is_settled(&self, seen: &Seen) -> bool {
        self.age(seen) >= self.rules.settled
    }

    pub fn is_garbage(&self, there: &There) -> bool {
        self.garbage.contains(&there.name)
    }

    /// What nobody needs, as it is now.
    pub fn garbage(&self) -> Noted {
        let (unneeded, needed): (Vec<&There>, Vec<&There>) =
            self.records.iter().partition(|there| self.is_garbage(there));
        let named: HashSet<Digest> = needed.into_iter().flat_map(outputs).collect();
        let records = unneeded.into_iter().map(|there| (there.name.clone(), As::of(&there.seen)));
        let blobs = self.blobs.iter().filter(|(digest, _, seen)| !named.contains(digest) && self.is_settled(seen));
        let blobs = blobs.map(|(_, name, seen)| (name.clone(), As::of(seen)));
        Noted { objects: records.chain(blobs).collect() }
    }

    /// The lists of what runs reached: those of live and of recent processes hold, and of each pipeline those of the last
    /// runs that reached something new.
    fn reached(&self, asking: &Asking, is_alive: &dyn Fn(&str) -> bool) -> Result<Holding, StoreError> {
        let mut listed = asking.ask(|store| store.list(reaches::FOLDER))?;
        listed.sort_by(|(one, seen), (other, later)| later.written.cmp(&seen.written).then(one.cmp(other)));
        let read = |(name, _): &(String, Seen)| match asking.ask(|store| store.get(name, reaches::LIMIT)) {
            Ok(text) => Ok(text.and_then(|text| sealed::open_value::<Reached>(&text)).unwrap_or_default()),
            Err(StoreError::Other(_)) => Ok(Reached::default()),
            Err(error) => Err(error),
        };
        let lists = there::at_once(&listed, there::AT_ONCE, read, &|_, _| {})?;
        let mut holding = Holding::default();
        let mut pipelines: HashMap<String, (HashSet<String>, HashSet<Key>)> = HashMap::new();
        for ((name, seen), list) in listed.iter().zip(lists) {
            let (runs, known) = pipelines.entry(list.pipeline.clone()).or_default();
            let is_new = list.keys.iter().any(|key| !known.contains(key));
            if is_new && runs.len() <= self.rules.keep_runs {
                runs.insert(list.run.clone());
            }
            let is_among_the_last = runs.len() <= self.rules.keep_runs;
            let holder = name.rsplit_once('/').map_or(name.as_str(), |(_, holder)| holder);
            if is_among_the_last || self.age(seen) < self.rules.keep || is_alive(holder) {
                if is_among_the_last {
                    known.extend(&list.keys);
                }
                holding.keys.extend(list.keys);
            } else {
                holding.ended.push(name.clone());
            }
        }
        Ok(holding)
    }

    /// Leases of the dead, what killed collections left, and packs and words of runs of long ago.
    fn ended_notes(&self, asking: &Asking, is_alive: &dyn Fn(&str) -> bool) -> Result<Vec<String>, StoreError> {
        let leases = asking.ask(|store| store.list(lease::FOLDER))?;
        let is_dead = |(name, seen): &(String, Seen)| {
            let holder = Name::of_object(name).map(|lease| lease.holder);
            self.age(seen) >= self.rules.grace && !holder.is_some_and(|holder| is_alive(&holder))
        };
        let notes = asking.ask(|store| store.list(FOLDER))?.into_iter();
        let abandoned = notes.filter(|(name, seen)| name.starts_with(REMOVING) && self.age(seen) >= ABANDONED);
        let tried = asking.ask(|store| store.list(probe::FOLDER))?.into_iter();
        let tried = tried.filter(|(_, seen)| self.age(seen) >= ABANDONED);
        let mut told = asking.ask(|store| store.list(notes::FOLDER))?;
        told.extend(asking.ask(|store| store.list(packs::FOLDER))?);
        let old = told.into_iter().filter(|(_, seen)| self.age(seen) >= self.rules.keep);
        Ok(leases.into_iter().filter(is_dead).chain(abandoned).chain(tried).chain(old).map(|(name, _)| name).collect())
    }
}

#[derive(Default)]
struct Holding {
    keys: HashSet<Key>,
    ended: Vec<String>,
}

/// Without knowing a record's outputs, its blobs would look like garbage.
pub(super) fn refuse_newer(records: &[There]) -> Result<(), StoreError> {
    match records.iter().find_map(|there| match there.what {
        What::Newer(format) => Some((&there.name, format)),
        _ => None,
    }) {
        None => Ok(()),
        Some((name, format)) => Err(StoreError::Other(format!(
            "{name} has format {format}, which this ddpipe does not know\n  collect with the newer one"
        ))),
    }
}
