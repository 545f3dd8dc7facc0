//! Sending what is missing there when asked to, and what both sides hold.

use super::bring::RECORD_LIMIT;
use super::probe::Findings;
use super::publish::{NotSent, Sent};
use super::remote::Shared;
use super::sender::Unsent;
use super::sign::{self, Notary};
use super::store::{Seen, StoreError};
use super::there;
use crate::layout::Layout;
use crate::{Cache, CacheError, Count, Key, walk};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;

/// What was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    /// Records that are there now.
    pub records: u64,
    /// Blobs that were sent with them, and their length in bytes.
    pub blobs: Count,
    /// Records that were there before.
    pub before: u64,
    /// Records that are there with outputs that are not here: they could not be written again, as to be signed.
    pub there_alone: u64,
    /// Records whose outputs are not all here, which cannot be sent.
    pub incomplete: u64,
    /// Records in whose place one of a newer ddpipe stays.
    pub newer: u64,
}

/// What a cache folder and its remote hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The remote's URL.
    pub url: String,
    /// Its id; none where nothing was ever sent there.
    pub id: Option<String>,
    /// Records and blobs there.
    pub records: Count,
    /// Blobs there.
    pub blobs: Count,
    /// Records that are both here and there.
    pub both: u64,
    /// Records that are here alone.
    pub here: u64,
    /// What waits to be sent.
    pub unsent: Unsent,
    /// Records from there that this command refused.
    pub refused: u64,
    /// How late the store shows what is written, or why nothing can be written there.
    pub written: Result<Findings, StoreError>,
}

impl Cache {
    /// Sends what the remote lacks: of these records, or of all, and what is there with outputs that are missing, have another
    /// length or were found to be damaged, or without a signature that it would have from here. Those in the outbox come
    /// first, and are sent also where there is one of their key already. `tell` is called after each record with how many are done, and of how many.
    ///
    /// # Errors
    /// There is no remote, or it does not take a record; then the rest is still to be sent.
    pub fn push(&self, only: Option<&[Key]>, tell: &mut dyn FnMut(usize, usize)) -> Result<Pushed, CacheError> {
        let shared = self.remote()?;
        shared.begins_anew.store(true, Ordering::Relaxed);
        let there = self.keys_there(shared)?;
        let wanted: Option<HashSet<Key>> = only.map(|keys| keys.iter().copied().collect());
        let is_wanted = |key: &Key| wanted.as_ref().is_none_or(|wanted| wanted.contains(key));
        let mut keys: Vec<Key> = shared.marks.outbox()?.into_iter().filter(is_wanted).collect();
        let first: HashSet<Key> = keys.iter().copied().collect();
        let here = walk::records(self.layout())?.into_iter().map(|(key, _)| key).filter(is_wanted);
        let blobs: HashMap<String, u64> =
            self.listed(shared, Layout::BLOBS)?.into_iter().map(|(name, seen)| (name, seen.bytes)).collect();
        let (mut known, mut missing) = (Vec::new(), Vec::new());
        for key in here.filter(|key| !first.contains(key)) {
            if !there.contains(&key) {
                // A collection there may have removed what was noted.
                shared.marks.forget(key);
            }
            let is_whole = there.contains(&key) && self.is_whole_there(shared, key, &blobs)?;
            if is_whole { &mut known } else { &mut missing }.push(key);
        }
        keys.extend(missing);
        let (unsigned, known): (Vec<Key>, Vec<Key>) = self.unsigned(shared, known)?;
        keys.extend(unsigned);
        let mut pushed = Pushed { before: known.len() as u64, ..Pushed::default() };
        known.into_iter().for_each(|key| shared.marks.found(key));
        let of = keys.len();
        for (index, key) in keys.into_iter().enumerate() {
            match shared.publish(self, key).map_err(|error| shared.not_sent(error))? {
                Sent::There { blobs, bytes } => {
                    pushed.records += 1;
                    pushed.blobs += Count { files: blobs, bytes };
                }
                Sent::ThereAlone => pushed.there_alone += 1,
                Sent::Gone => pushed.incomplete += 1,
                Sent::Newer => pushed.newer += 1,
            }
            tell(index + 1, of);
        }
        Ok(pushed)
    }

    /// Parts these records, which are there: those that lack a signature there which they would have from here, and the others.
    fn unsigned(&self, shared: &Shared, known: Vec<Key>) -> Result<(Vec<Key>, Vec<Key>), CacheError> {
        let signs = |notary: &&dyn Notary| notary.sign("").is_some();
        let Some(notary) = shared.notary.as_deref().filter(signs) else { return Ok((Vec::new(), known)) };
        let lacks = |key: &Key| {
            let name = Layout::record_name(*key);
            let text = shared.asking.ask(|store| store.get(&name, RECORD_LIMIT))?;
            Ok((*key, text.is_some_and(|text| sign::lacks_ours(&text, notary))))
        };
        let looked =
            there::at_once(&known, there::AT_ONCE, lacks, &|_, _| {}).map_err(|error| shared.trouble(error))?;
        let (unsigned, signed): (Vec<_>, Vec<_>) = looked.into_iter().partition(|(_, lacks)| *lacks);
        Ok((unsigned.into_iter().map(|(key, _)| key).collect(), signed.into_iter().map(|(key, _)| key).collect()))
    }

    /// Whether the outputs of a record that is here are all there, with their lengths and not known to be damaged.
    fn is_whole_there(&self, shared: &Shared, key: Key, blobs: &HashMap<String, u64>) -> Result<bool, CacheError> {
        let record = crate::record::read(self.layout(), key)?;
        let mut outputs = record.iter().flat_map(|record| record.outputs.values());
        let is_there = |digest, bytes| blobs.get(&Layout::blob_name(digest)) == Some(&bytes);
        Ok(outputs.all(|output| is_there(output.digest, output.bytes) && !shared.is_doubted(output.digest)))
    }

    /// What is here and what is there; also whether the remote can be written to, and how late it shows that.
    ///
    /// # Errors
    /// There is no remote, or it does not answer.
    pub fn remote_status(&self) -> Result<Status, CacheError> {
        let shared = self.remote()?;
        let id = shared.meet(false).map_err(|error| shared.trouble(error))?;
        let counted = |folder: &str| {
            let found = self.listed(shared, folder)?;
            let (files, bytes) = (found.len() as u64, found.iter().map(|(_, seen)| seen.bytes).sum());
            Ok::<_, CacheError>(Count { files, bytes })
        };
        let there = self.keys_there(shared)?;
        let here: Vec<Key> = walk::records(self.layout())?.into_iter().map(|(key, _)| key).collect();
        let both = here.iter().filter(|key| there.contains(key)).count() as u64;
        Ok(Status {
            url: shared.url().to_string(),
            id,
            records: counted(Layout::RECORDS)?,
            blobs: counted(Layout::BLOBS)?,
            both,
            here: here.len() as u64 - both,
            unsent: self.unsent()?,
            refused: shared.refused(),
            written: shared.probe.look(),
        })
    }

    /// Why nothing more is asked of the remote, if that is so.
    pub fn remote_trouble(&self) -> Option<CacheError> {
        let shared = self.shared()?;
        shared.asking.given_up().map(|error| super::remote::unusable(&shared.asking, error))
    }

    fn remote(&self) -> Result<&Shared, CacheError> {
        let why =
            "none is named\n  name one with `--remote file:///FOLDER`, `--remote s3://BUCKET/PREFIX` or DDPIPE_REMOTE";
        self.shared().ok_or_else(|| CacheError::NoRemote { url: String::new(), why: why.into() })
    }

    fn listed(&self, shared: &Shared, folder: &str) -> Result<Vec<(String, Seen)>, CacheError> {
        shared.asking.ask(|store| store.list(folder)).map_err(|error| shared.trouble(error))
    }

    fn keys_there(&self, shared: &Shared) -> Result<HashSet<Key>, CacheError> {
        shared.meet(false).map_err(|error| shared.trouble(error))?;
        let listed = self.listed(shared, Layout::RECORDS)?;
        Ok(listed.iter().filter_map(|(name, _)| Layout::named_record(name)).collect())
    }
}

impl Shared {
    fn trouble(&self, error: StoreError) -> CacheError {
        let way_out = "what is not sent stays in the outbox: `ddpipe cache push` sends it when the remote is back";
        CacheError::Remote { url: self.url().to_string(), error, way_out }
    }

    fn not_sent(&self, error: NotSent) -> CacheError {
        match error {
            NotSent::Here(error) => error,
            NotSent::There(error) => self.trouble(error),
        }
    }
}
