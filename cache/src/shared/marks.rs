//! What a cache folder notes of its remote: which records are complete there, which wait to be sent, and which blobs were
//! found to be damaged there. Each is an empty file named by its key or digest, in a folder named after the remote's URL. Beside
//! them lies what was found out about the store.
//! Notes only: what they say is found out by reading, and a lost one costs a request.

use super::remote::lock;
use crate::layout::Layout;
use crate::{CacheError, Digest, Key, disk, walk};
use std::collections::HashSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// The file beside the marks that has the store's id.
const ID: &str = "id";
/// The file beside the marks that says what the store does with what was written a moment ago.
const PROBE: &str = "probe.json";
/// The folder beside the marks that names damaged blobs.
const DOUBTED: &str = "doubted";

/// The notes of one remote.
#[derive(Debug)]
pub(super) struct Marks {
    there: PathBuf,
    outbox: PathBuf,
    /// What is noted to be there, once that was asked for.
    known: Mutex<Option<HashSet<Key>>>,
    /// What is noted to be damaged there, likewise.
    doubted: Mutex<Option<HashSet<Digest>>>,
}

impl Marks {
    pub fn new(layout: &Layout, url: &str) -> Self {
        let name = &Digest::of(url.as_bytes()).hex()[..16];
        Marks {
            there: layout.there(name),
            outbox: layout.outbox(name),
            known: Mutex::default(),
            doubted: Mutex::default(),
        }
    }

    /// The store has this id, or none. If it had another one when it was noted down, nothing noted holds.
    pub fn is_of(&self, id: &str) {
        let path = self.there.join(ID);
        let before = disk::read(&path).unwrap_or_default();
        if before == id.as_bytes() {
            return;
        }
        // One that had none may have been given one since.
        if before.is_empty() {
            return note(&path, id.as_bytes());
        }
        let mut known = lock(&self.known);
        if let Err(error) = disk::remove_tree(&self.there)
            && error.kind() != ErrorKind::NotFound
        {
            tracing::warn!(path = %self.there.display(), %error, "what was known of another remote stays");
        }
        *known = Some(HashSet::new());
        *lock(&self.doubted) = Some(HashSet::new());
        drop(known);
        note(&path, id.as_bytes());
    }

    /// What was noted of the store itself; nothing where that was not.
    pub fn probe(&self) -> Vec<u8> {
        disk::read(&self.there.join(PROBE)).unwrap_or_default()
    }

    pub fn note_probe(&self, text: &[u8]) {
        note(&self.there.join(PROBE), text);
    }

    /// Whether the store was known to be a remote.
    pub fn are_of_a_remote(&self) -> bool {
        disk::read(&self.there.join(ID)).is_ok_and(|id| !id.is_empty())
    }

    pub fn is_there(&self, key: Key) -> bool {
        self.known(|known| known.contains(&key))
    }

    /// Notes that a record and its outputs are there.
    pub fn found(&self, key: Key) {
        if self.known(|known| known.insert(key)) {
            note(&self.there.join(key.hex()), b"");
        }
    }

    pub fn forget(&self, key: Key) {
        if self.known(|known| known.remove(&key)) {
            remove(&self.there.join(key.hex()));
        }
    }

    /// Notes that a blob is damaged there, or gone.
    pub fn doubt(&self, digest: Digest) {
        if self.doubted(|doubted| doubted.insert(digest)) {
            note(&self.there.join(DOUBTED).join(digest.hex()), b"");
        }
    }

    pub fn is_doubted(&self, digest: Digest) -> bool {
        self.doubted(|doubted| doubted.contains(&digest))
    }

    /// Notes that a blob was sent there.
    pub fn trust(&self, digest: Digest) {
        if self.doubted(|doubted| doubted.remove(&digest)) {
            remove(&self.there.join(DOUBTED).join(digest.hex()));
        }
    }

    fn doubted<T>(&self, act: impl FnOnce(&mut HashSet<Digest>) -> T) -> T {
        let mut doubted = lock(&self.doubted);
        act(doubted.get_or_insert_with(|| {
            let noted = walk::entries(&self.there.join(DOUBTED)).unwrap_or_default();
            noted.into_iter().filter_map(|entry| entry.name.parse().ok()).collect()
        }))
    }

    fn known<T>(&self, act: impl FnOnce(&mut HashSet<Key>) -> T) -> T {
        let mut known = lock(&self.known);
        act(known.get_or_insert_with(|| keys(&self.there).unwrap_or_default().into_iter().collect()))
    }

    /// Notes that a record is to be sent.
    pub fn to_send(&self, key: Key) {
        note(&self.outbox.join(key.hex()), b"");
    }

    /// Notes that a record need not be sent any more.
    pub fn sent(&self, key: Key) {
        remove(&self.outbox.join(key.hex()));
    }

    /// The records that are to be sent.
    pub fn outbox(&self) -> Result<Vec<Key>, CacheError> {
        keys(&self.outbox)
    }
}

fn keys(folder: &Path) -> Result<Vec<Key>, CacheError> {
    Ok(walk::entries(folder)?.into_iter().filter_map(|entry| entry.name.parse().ok()).collect())
}

/// Writes a small file. One that cannot be written costs a request later.
fn note(path: &Path, text: &[u8]) {
    let open = || match disk::open_or_create(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            disk::make_folders(path.parent().unwrap_or(path))?;
            disk::open_or_create(path)
        }
        opened => opened,
    };
    let write = || {
        let mut file = open()?;
        if text.is_empty() { Ok(()) } else { disk::rewrite(&mut file, path, text) }
    };
    if let Err(error) = write() {
        tracing::warn!(path = %path.display(), %error, "a note about the remote was not written");
    }
}

fn remove(path: &Path) {
    match disk::unlink(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "a note about the remote stays");
        }
        _ => {}
    }
}

/// The records that are complete in some remote, as far as this cache folder knows.
pub(crate) fn known_elsewhere(layout: &Layout) -> Result<HashSet<Key>, CacheError> {
    let mut known = HashSet::new();
    for remote in walk::entries(&layout.theres())? {
        known.extend(keys(&remote.path)?);
    }
    Ok(known)
}

/// The records that wait to be sent to some remote.
pub(crate) fn waiting(layout: &Layout) -> Result<HashSet<Key>, CacheError> {
    let mut waiting = HashSet::new();
    for remote in walk::entries(&layout.outboxes())? {
        waiting.extend(keys(&remote.path)?);
    }
    Ok(waiting)
}
