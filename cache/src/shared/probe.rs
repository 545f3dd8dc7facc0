//! What a store does with what was written to it a moment ago, found out by writing, reading and listing: a lease counts once
//! listings would show others. Looked at when a process first wants a lease there, and kept beside the other notes of the remote
//! for a week.
//!
//! Requests carry no condition, so whether a store honours one is not looked at. Nothing is found out of what other machines see of
//! a folder: a file server's client shows its own machine's files at once.

use super::asking::Asking;
use super::marks::Marks;
use super::remote::{drawn, lock};
use super::store::StoreError;
use super::there;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The folder of the objects that are written for this.
pub const FOLDER: &str = "probe-v1";
/// So many writers at the same time.
const WRITERS: usize = 16;
/// Between two looks at what is not shown yet.
const PAUSE: Duration = Duration::from_millis(20);
/// For so long what was found is believed, in seconds.
const KEPT: f64 = 7.0 * 24.0 * 3600.0;
/// What is written, and what it is overwritten with.
const WRITTEN: [&[u8]; 2] = [b"written", b"written anew"];
/// No such object is longer.
const LIMIT: u64 = 1 << 10;

/// How late a store shows what was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Findings {
    /// After how long its listings show what was written, overwritten and removed: zero where the next one does, and
    /// [`Findings::LONGEST`] where none did within that time.
    pub listings: Duration,
    /// After how long an object that was overwritten is read as it is now, likewise.
    pub readings: Duration,
}

impl Findings {
    /// Longer is not waited for.
    pub const LONGEST: Duration = Duration::from_secs(10);

    /// How long a claim waits after its lease was written, before it lists others: twice as long as listings are late.
    pub fn wait(&self) -> Duration {
        self.listings.saturating_mul(2).min(Findings::LONGEST)
    }

    /// The later of each.
    fn or_later(self, other: Findings) -> Self {
        Findings { listings: self.listings.max(other.listings), readings: self.readings.max(other.readings) }
    }
}

/// What is noted of it here.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    /// When it was found out, in seconds since 1970.
    made_unix: f64,
    findings: Findings,
}

/// What this process knows of one store.
#[derive(Debug)]
pub(super) struct Probe {
    asking: Arc<Asking>,
    marks: Arc<Marks>,
    found: Mutex<Option<Findings>>,
}

impl Probe {
    pub fn new(asking: Arc<Asking>, marks: Arc<Marks>) -> Self {
        Probe { asking, marks, found: Mutex::default() }
    }

    /// What is known, from a look within the last week. A store that cannot be relied on is not asked for anything more.
    ///
    /// # Errors
    /// It does not answer, takes nothing, or does not give what was written.
    pub fn findings(&self) -> Result<Findings, StoreError> {
        // Others of this process wait for the same look.
        let mut found = lock(&self.found);
        if let Some(found) = *found {
            return Ok(found);
        }
        let known = match self.kept() {
            Some(kept) => kept,
            None => self.look()?,
        };
        *found = Some(known);
        if !known.listings.is_zero() {
            tracing::warn!("the remote {} {}", self.asking.url(), late(&known));
        }
        Ok(known)
    }

    /// The same by a look now.
    ///
    /// # Errors
    /// Likewise.
    pub fn look(&self) -> Result<Findings, StoreError> {
        let drawn = drawn();
        let names: Vec<String> = (0..WRITERS).map(|writer| format!("{FOLDER}/{drawn}.{writer:02}")).collect();
        let looked = there::at_once(&names, WRITERS, |name| Writer { asking: &self.asking, name }.look(), &|_, _| {});
        let all = match looked {
            Ok(all) => all,
            Err(error) => {
                let written: Vec<String> = names.iter().flat_map(|name| [name.clone(), second(name)]).collect();
                if let Err(error) = self.asking.change(|store| store.delete(&written)) {
                    tracing::debug!(%error, "what was written to try a store stays there until its collection");
                }
                return Err(error);
            }
        };
        let findings = all.into_iter().fold(Findings::default(), Findings::or_later);
        let made_unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        if let Ok(text) = serde_json::to_vec(&Kept { made_unix, findings }) {
            self.marks.note_probe(&text);
        }
        Ok(findings)
    }

    /// What was found out before, if that is not too long ago.
    fn kept(&self) -> Option<Findings> {
        let kept: Kept = serde_json::from_slice(&self.marks.probe()).ok()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let Findings { listings, readings } = kept.findings;
        let is_ours = listings.max(readings) <= Findings::LONGEST;
        (is_ours && (0.0..KEPT).contains(&(now - kept.made_unix))).then_some(kept.findings)
    }
}

/// What late listings mean, in words behind the store's name.
fn late(findings: &Findings) -> String {
    let (late, wait) = (findings.listings.as_secs_f64(), findings.wait().as_secs_f64());
    match findings.listings < Findings::LONGEST {
        true => format!(
            "lists what was written {late:.1} s later: each claim waits {wait:.1} s, and now and then a node may be computed twice"
        ),
        false => format!(
            "did not list what was written within {late:.0} s: each claim waits {wait:.0} s, and nodes may be computed twice"
        ),
    }
}

/// One that writes, reads and lists.
struct Writer<'a> {
    asking: &'a Asking,
    name: &'a str,
}

impl Writer<'_> {
    fn look(&self) -> Result<Findings, StoreError> {
        let (name, second) = (self.name, second(self.name));
        // A store may remember that there was nothing.
        self.asking.ask(|store| store.head(name))?;
        self.put(name, WRITTEN[0])?;
        if self.read(name)?.as_deref() != Some(WRITTEN[0]) {
            let error = StoreError::Other(
                "an object that was just written there cannot be read: ddpipe needs a store that gives what was written".into(),
            );
            self.asking.give_up(&error);
            return Err(error);
        }
        self.put(&second, WRITTEN[0])?;
        let mut listings = until(|| Ok(self.listed(&second)? == Some(WRITTEN[0].len())))?;
        self.put(name, WRITTEN[1])?;
        let readings = until(|| Ok(self.read(name)?.as_deref() == Some(WRITTEN[1])))?;
        listings = listings.max(until(|| Ok(self.listed(name)? == Some(WRITTEN[1].len())))?);
        let both = [name.to_string(), second];
        self.asking.change(|store| store.delete(&both))?;
        listings = listings.max(until(|| Ok(self.listed(name)?.is_none()))?);
        Ok(Findings { listings, readings })
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.asking.change(|store| store.put(name, bytes.len() as u64, &mut { bytes })).map(drop)
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.asking.ask(|store| store.get(name, LIMIT))
    }

    /// The length of an object as a listing has it.
    fn listed(&self, name: &str) -> Result<Option<usize>, StoreError> {
        let listed = self.asking.ask(|store| store.list(FOLDER))?;
        Ok(listed.iter().find(|(other, _)| other == name).map(|(_, seen)| seen.bytes as usize))
    }
}

fn second(name: &str) -> String {
    format!("{name}.second")
}

/// After how long a request that begins then shows what it has to: zero where the first one does.
fn until(mut shows: impl FnMut() -> Result<bool, StoreError>) -> Result<Duration, StoreError> {
    let begun = Instant::now();
    if shows()? {
        return Ok(Duration::ZERO);
    }
    while begun.elapsed() < Findings::LONGEST {
        thread::sleep(PAUSE);
        let asked = begun.elapsed();
        if shows()? {
            return Ok(asked.min(Findings::LONGEST));
        }
    }
    Ok(Findings::LONGEST)
}
