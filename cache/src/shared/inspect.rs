//! Verification of a remote: every record and every blob is read, and what is damaged is named. Changes nothing there, and
//! needs no cache folder.

use super::asking::Asking;
use super::remote::{self, Remote};
use super::sign::{self, Notary};
use super::store::{Seen, StoreError};
use super::there::{self, What};
use crate::layout::Layout;
use crate::{CacheError, Count, Digest, IncompleteRecord};
use std::collections::{HashMap, HashSet};

/// What `ddpipe cache verify --remote` shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspection {
    /// The remote's URL.
    pub url: String,
    /// How many records are whole.
    pub records: u64,
    /// Blobs that are whole.
    pub blobs: Count,
    /// Whole blobs that no record names.
    pub unnamed: Count,
    /// Records that are not believed by the settings here: the node, and why.
    pub refused: Vec<(String, String)>,
    /// Records of a newer format, of which nothing is known.
    pub newer: u64,
    /// The names of objects that are not what their name says.
    pub damaged: Vec<String>,
    /// Records whose outputs are not all there and whole.
    pub incomplete: Vec<IncompleteRecord>,
}

impl Inspection {
    /// Whether everything there is what it should be.
    pub fn is_clean(&self) -> bool {
        self.damaged.is_empty() && self.incomplete.is_empty()
    }
}

impl Remote {
    /// Reads every record and every blob. `tell` is called with how many objects are read, and of how many.
    ///
    /// # Errors
    /// It does not answer; a layout of a newer ddpipe is there.
    pub fn verify(&self, tell: &(dyn Fn(usize, usize) + Sync)) -> Result<Inspection, CacheError> {
        let asking = self.asking();
        inspect(&asking, self.notary.as_deref(), tell).map_err(|error| remote::unusable(&asking, error))
    }
}

fn inspect(
    asking: &Asking,
    notary: Option<&dyn Notary>,
    tell: &(dyn Fn(usize, usize) + Sync),
) -> Result<Inspection, StoreError> {
    remote::known(asking)?;
    let mut inspection = Inspection { url: asking.url().to_string(), ..Inspection::default() };
    // In this order: what is written meanwhile has its blobs before its record.
    let listed = asking.ask(|store| store.list(Layout::RECORDS))?;
    let blobs = asking.ask(|store| store.list(Layout::BLOBS))?;
    let blobs: Vec<(Digest, String, Seen)> =
        blobs.into_iter().filter_map(|(name, seen)| Some((Layout::named_blob(&name)?, name, seen))).collect();
    let all = listed.len() + blobs.len();
    let records = there::records(asking, &listed, &|done, _| tell(done, all))?;
    let read = |(digest, name, seen): &(Digest, String, Seen)| Ok((*digest, look_at(asking, name, *digest, seen)?));
    let whole: HashMap<Digest, Blob> =
        there::at_once(&blobs, there::AT_ONCE, read, &|done, _| tell(listed.len() + done, all))?.into_iter().collect();
    let mut named = HashSet::new();
    for there in records {
        let record = match there.what {
            What::Record(record, text) => {
                if let Some(Err(why)) = notary.map(|notary| sign::judged(&text, notary)) {
                    inspection.refused.push((record.node.clone(), why));
                }
                record
            }
            What::Newer(_) => {
                inspection.newer += 1;
                continue;
            }
            What::Damaged => {
                inspection.damaged.push(there.name);
                continue;
            }
        };
        inspection.records += 1;
        let is_lost = |digest: &Digest, bytes: u64| whole.get(digest) != Some(&Blob::Whole(bytes));
        let lost = record.outputs.iter().filter(|(_, output)| is_lost(&output.digest, output.bytes));
        let lost: Vec<String> = lost.map(|(name, _)| name.clone()).collect();
        named.extend(record.outputs.values().map(|output| output.digest));
        if !lost.is_empty() {
            let (key, pipeline, node) = (record.key, record.pipeline, record.node);
            inspection.incomplete.push(IncompleteRecord { key, pipeline, node, lost });
        }
    }
    for (digest, name, _) in blobs {
        match whole.get(&digest) {
            Some(Blob::Whole(bytes)) => {
                inspection.blobs += Count::one(*bytes);
                if !named.contains(&digest) {
                    inspection.unnamed += Count::one(*bytes);
                }
            }
            Some(Blob::Damaged) => inspection.damaged.push(name),
            Some(Blob::Gone) | None => {}
        }
    }
    inspection.damaged.sort();
    Ok(inspection)
}

/// What a blob's bytes show.
#[derive(PartialEq, Eq)]
enum Blob {
    /// So many, and those of its name.
    Whole(u64),
    Damaged,
    /// Collected since it was listed.
    Gone,
}

fn look_at(asking: &Asking, name: &str, digest: Digest, seen: &Seen) -> Result<Blob, StoreError> {
    let mut hasher = blake3::Hasher::new();
    match asking.ask(|store| store.read(name, hasher.count(), &mut hasher)) {
        Ok(false) => Ok(Blob::Gone),
        Ok(true) if hasher.count() == seen.bytes && Digest::from(hasher.finalize()) == digest => {
            Ok(Blob::Whole(seen.bytes))
        }
        Ok(true) | Err(StoreError::Other(_)) => Ok(Blob::Damaged),
        Err(error) => Err(error),
    }
}
