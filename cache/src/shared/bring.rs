//! What is in the remote comes here: records when they are looked for, blobs when somebody needs their bytes. Nothing is
//! believed unread. What does not prove to be right counts as absent, and that is said once.

use super::asking::GaveUp;
use super::packs;
use super::remote::{Shared, lock};
use super::sign;
use super::store::StoreError;
use super::there;
use crate::claim::{Attempt, Lock};
use crate::layout::Layout;
use crate::record;
use crate::sealed::{self, Opened};
use crate::{BlobStore, Cache, CacheError, Count, Digest, Key, Record};
use std::collections::HashSet;

/// No record is longer.
pub(super) const RECORD_LIMIT: u64 = 1 << 20;

/// So many records are looked for at the same time.
const AHEAD: usize = 64;

/// Who looks for a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// A plan; that a record is not there is believed for a while.
    Plan,
    /// The holder of the key's claim, who would compute it next.
    InClaim,
}

impl Shared {
    /// The record of a key from the remote, if it is whole and right; its outputs are there then. It is noted here, so that
    /// the next process need not ask.
    pub fn record(&self, cache: &Cache, key: Key, look: Look) -> Option<Record> {
        if look == Look::Plan && self.is_absent(key) {
            return None;
        }
        // What a pack has was there; one in a claim wants to know what is there now.
        if look == Look::Plan
            && let Some(record) = self.packs.take(key).and_then(|text| self.believed(key, &text).ok())
        {
            self.note(cache, &record, look);
            return Some(record);
        }
        let name = Layout::record_name(key);
        let text = self.meet(false).and_then(|_| self.asking.ask(|store| store.get(&name, RECORD_LIMIT)));
        let text = match text {
            Ok(Some(text)) => text,
            Ok(None) => {
                self.note_absent(key);
                return None;
            }
            Err(error) => {
                self.say_trouble(&error);
                return None;
            }
        };
        match self.believed(key, &text) {
            Ok(record) => {
                self.packs.note_news();
                self.note(cache, &record, look);
                Some(record)
            }
            Err(why) => {
                self.refuse(&format!("record {} {why}", key.short()));
                None
            }
        }
    }

    /// The record in a text of the remote, if it is whole, right and believed; else why not.
    fn believed(&self, key: Key, text: &[u8]) -> Result<Record, String> {
        let record = match sealed::open(text) {
            Some(Opened::Record(record)) if record.key == key && Key::of(&record.description) == key => *record,
            Some(Opened::Newer(format)) => {
                return Err(format!("has format {format}, of a newer ddpipe; it is not used"));
            }
            _ => return Err("is damaged there; it is not used".into()),
        };
        match self.notary.as_deref().map(|notary| sign::judged(text, notary)) {
            Some(Err(why)) => Err(format!("of {} is not used: {why}", record.node)),
            _ => Ok(record),
        }
    }

    /// Notes a record of the remote here, and that its outputs are there.
    fn note(&self, cache: &Cache, record: &Record, look: Look) {
        if let Err(error) = self.keep(cache, record, look) {
            tracing::warn!(key = %record.key, %error, "a record of the remote was not noted here");
        }
        self.marks.found(record.key);
        lock(&self.brought).records.insert(record.key);
    }

    /// Writes a record of the remote here; not while another process is about to write it.
    fn keep(&self, cache: &Cache, record: &Record, look: Look) -> Result<(), CacheError> {
        let _lock = match look {
            Look::InClaim => None,
            Look::Plan => match Lock::attempt(&cache.layout().claim(record.key))? {
                Attempt::Locked(lock) => Some(lock),
                Attempt::Held(_) => return Ok(()),
            },
        };
        match record::find(cache.layout(), record.key)? {
            record::Found::Newer(_) => Ok(()),
            // One that a power cut takes is fetched again.
            _ => record::write_unflushed(cache.layout(), record),
        }
    }

    /// Brings a blob here, of at most so many bytes. False where it is not to be had; then it is not looked for again, and
    /// counts as lost. Where it is damaged there or gone, later processes know that too, until it was sent anew.
    ///
    /// # Errors
    /// It cannot be written here.
    pub fn bring(&self, blobs: &BlobStore, digest: Digest, most: Option<u64>) -> Result<bool, CacheError> {
        let name = Layout::blob_name(digest);
        let short = digest.short();
        let mut damaged = false;
        for _ in 0..2 {
            if self.is_doubted(digest) {
                break;
            }
            let mut incoming = blobs.incoming(most.unwrap_or(u64::MAX))?;
            if let Err(error) = self.meet(false) {
                self.say_trouble(&error);
                break;
            }
            let read = self.asking.ask(|store| store.read(&name, incoming.bytes(), &mut incoming));
            if let Some(fault) = incoming.fault() {
                return Err(fault);
            }
            match read {
                Ok(true) => {
                    let bytes = incoming.bytes();
                    if blobs.accept(incoming, digest)? {
                        lock(&self.brought).outputs += Count::one(bytes);
                        return Ok(true);
                    }
                    self.say(&format!("blob {short} has other bytes there than its name says"));
                    damaged = true;
                }
                Err(StoreError::Other(why)) => {
                    self.say(&format!("blob {short} cannot be read there: {why}"));
                    damaged = true;
                }
                Ok(false) => {
                    self.say(&format!("blob {short} is not there any more"));
                    damaged = true;
                    break;
                }
                Err(error) => {
                    self.say_trouble(&error);
                    break;
                }
            }
        }
        self.doubt(digest);
        if damaged {
            self.marks.doubt(digest);
        }
        Ok(false)
    }

    /// Says that the store is not used any more, or is only read, when that is so.
    pub(super) fn say_trouble(&self, error: &StoreError) {
        match self.asking.gave_up() {
            Some(GaveUp::All(error)) => {
                tracing::warn!("the remote {} {error}; this command goes on without it", self.url());
            }
            Some(GaveUp::Writing(error)) => {
                tracing::warn!("the remote {} {error}; this command only reads from it", self.url());
            }
            None => match error {
                StoreError::Other(why) => self.say(why),
                error => tracing::debug!(%error, "the remote did not answer a request"),
            },
        }
    }
}

/// What a process took from a remote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Brought {
    /// Records that were not here.
    pub records: HashSet<Key>,
    /// Outputs whose bytes were brought.
    pub outputs: Count,
}

impl Cache {
    /// What this process took from the remote so far; nothing without one.
    pub fn brought(&self) -> Brought {
        self.shared().map(|shared| lock(&shared.brought).clone()).unwrap_or_default()
    }

    /// Looks for the records of these keys of a pipeline in the remote, many at the same time, so that they are known when a plan asks
    /// for each. What goes wrong shows then. Nothing without a remote.
    pub fn look_ahead(&self, pipeline: &str, keys: &[Key]) {
        let Some(shared) = self.shared() else { return };
        // The first request looks at the remote itself.
        let Some((first, others)) = keys.split_first() else { return };
        if keys.len() >= packs::MANY
            && let Err(error) = shared.meet(false).and_then(|_| shared.packs.look(&shared.asking, pipeline))
        {
            shared.say_trouble(&error);
        }
        shared.record(self, *first, Look::Plan);
        let look = |key: &Key| {
            shared.record(self, *key, Look::Plan);
            Ok(())
        };
        let _ = there::at_once(others, AHEAD, look, &|_, _| {});
    }

    /// Notes the record of a key that is claimed, if the remote has one by now.
    pub(crate) fn look_elsewhere(&self, key: Key) {
        if let Some(shared) = self.shared() {
            let _ = shared.record(self, key, Look::InClaim);
        }
    }

    /// Whether there is a remote.
    pub fn has_remote(&self) -> bool {
        self.shared().is_some()
    }

    /// The remote's URL.
    pub fn remote_url(&self) -> Option<&str> {
        self.shared().map(Shared::url)
    }

    /// Whether an output's bytes are here, with the right length.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn is_here(&self, digest: Digest, bytes: u64) -> Result<bool, CacheError> {
        Ok(self.blobs().contains(digest)? == Some(bytes))
    }

    /// Brings an output of so many bytes here from the remote, unless it is here. False where it is not to be had.
    ///
    /// # Errors
    /// It cannot be written here.
    pub fn bring(&self, digest: Digest, bytes: u64) -> Result<bool, CacheError> {
        if self.is_here(digest, bytes)? {
            return Ok(true);
        }
        self.shared().map_or(Ok(false), |shared| shared.bring(self.blobs(), digest, Some(bytes)))
    }
}
