//! What the processes of one run tell each other through the remote, where they share no folder: small objects below
//! `runs-v1/<run>/`, and files that the run needs as blobs. Knows not what they say.

use super::asking::Asking;
use super::publish::NotSent;
use super::remote::{Remote, lock};
use super::store::{Seen, StoreError};
use super::there;
use crate::layout::Layout;
use crate::{Cache, CacheError, Count, Digest};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The folder of all runs in a store.
pub const FOLDER: &str = "runs-v1";
/// No note is longer.
const LIMIT: u64 = 32 << 20;
/// A file that was sent less long ago stays there by itself (`Rules::settled`).
const YOUNG: Duration = Duration::from_secs(24 * 3600);
/// Written to see what time it is there.
const NOW: &str = "now";

/// The notes of one run in a remote.
#[derive(Clone, Debug)]
pub struct Notes {
    asking: Arc<Asking>,
    prefix: String,
}

/// A file that is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileHere {
    /// Where it is.
    pub path: PathBuf,
    /// What it holds.
    pub digest: Digest,
    /// Its length.
    pub bytes: u64,
}

impl Cache {
    /// The notes of a run of this name; none without a remote.
    pub fn notes(&self, run: &str) -> Option<Notes> {
        let asking = self.shared()?.asking.clone();
        Some(Notes { asking, prefix: format!("{FOLDER}/{run}/") })
    }

    /// Sends files to the remote as blobs, those that are not there already, several at the same time. How many were sent.
    ///
    /// # Errors
    /// A file cannot be read or has changed; the remote does not take it.
    pub fn send_files(&self, notes: &Notes, files: &[FileHere]) -> Result<Count, CacheError> {
        let Some(shared) = self.shared() else { return Ok(Count::default()) };
        let failed = |error: NotSent| match error {
            NotSent::Here(error) => error,
            NotSent::There(error) => notes.trouble(error),
        };
        let now = shared.meet(true).and_then(|_| notes.put(NOW, b"")).map_err(|error| failed(error.into()))?.written;
        let here: Mutex<Option<CacheError>> = Mutex::default();
        let send = |file: &FileHere| {
            let there = notes.asking.ask(|store| store.head(&Layout::blob_name(file.digest)))?;
            let is_young = |seen: &Seen| now.duration_since(seen.written).unwrap_or_default() < YOUNG;
            if there.is_some_and(|seen| seen.bytes == file.bytes && is_young(&seen)) {
                return Ok(None);
            }
            match shared.put_file(file) {
                Ok(()) => Ok(Some(file.bytes)),
                Err(NotSent::There(error)) => Err(error),
                Err(NotSent::Here(error)) => {
                    *lock(&here) = Some(error);
                    Err(StoreError::Other("a file is not as it was".into()))
                }
            }
        };
        let sent = there::at_once(files, there::AT_ONCE, send, &|_, _| {});
        if let Some(error) = lock(&here).take() {
            return Err(error);
        }
        let sent = sent.map_err(|error| failed(error.into()))?.into_iter().flatten();
        Ok(sent.fold(Count::default(), |mut count, bytes| {
            count += Count::one(bytes);
            count
        }))
    }

    /// Takes nothing for absent any more that was not in the remote a moment ago: others have sent meanwhile.
    pub fn look_anew(&self) {
        if let Some(shared) = self.shared() {
            shared.forget_absent();
        }
    }
}

impl Remote {
    /// The notes of a run of this name.
    pub fn notes(&self, run: &str) -> Notes {
        Notes { asking: Arc::new(self.asking()), prefix: format!("{FOLDER}/{run}/") }
    }
}

impl Notes {
    /// What went wrong with a note, with the name of the remote.
    pub fn trouble(&self, error: StoreError) -> CacheError {
        super::remote::unusable(&self.asking, error)
    }

    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Writes a note.
    ///
    /// # Errors
    /// Those of the store.
    pub fn put(&self, name: &str, text: &[u8]) -> Result<Seen, StoreError> {
        self.asking.change(|store| store.put(&self.name(name), text.len() as u64, &mut &*text))
    }

    /// Reads a note.
    ///
    /// # Errors
    /// Those of the store.
    pub fn get(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.asking.ask(|store| store.get(&self.name(name), LIMIT))
    }

    /// The notes of the run in this folder, or all if none is named, by name.
    ///
    /// # Errors
    /// Those of the store.
    pub fn list(&self, folder: &str) -> Result<Vec<(String, Seen)>, StoreError> {
        let below = self.name(folder);
        let listed = self.asking.ask(|store| store.list(below.trim_end_matches('/')))?;
        let below = |(name, seen): (String, Seen)| Some((name.strip_prefix(&self.prefix)?.to_string(), seen));
        Ok(listed.into_iter().filter_map(below).collect())
    }

    /// Whether there is a note of this name, and which.
    ///
    /// # Errors
    /// Those of the store.
    pub fn look(&self, name: &str) -> Result<Option<Seen>, StoreError> {
        self.asking.ask(|store| store.head(&self.name(name)))
    }

    /// Removes a note.
    ///
    /// # Errors
    /// Those of the store.
    pub fn remove(&self, name: &str) -> Result<(), StoreError> {
        self.asking.change(|store| store.delete(&[self.name(name)]))
    }
}
