//! Blobs: bytes named by their digest. A published blob is whole, read-only and never changes. Knows no records: `gc`
//! decides what may go.

use crate::aside::{self, Aside, READ_ONLY};
use crate::claim::{Attempt, Lock};
use crate::incoming::Incoming;
use crate::layout::Layout;
use crate::shared::Shared;
use crate::{CacheError, Digest, disk};
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Between two looks at a blob that is being removed.
const POLL: Duration = Duration::from_millis(1);

/// The blobs under `blobs-v1/`. They are named by content, so that putting one twice is harmless.
#[derive(Debug)]
pub struct BlobStore {
    layout: Layout,
    /// Where blobs come from that are not here.
    shared: Option<Arc<Shared>>,
    /// What this process has seen to be whole. Bytes that it wrote itself count.
    verified: Mutex<HashSet<Digest>>,
}

/// Bytes that are written, and have no name yet. Dropping it removes them.
pub struct Staged {
    digest: Digest,
    /// None where the blob is there already.
    aside: Option<Aside>,
}

impl BlobStore {
    pub(crate) fn new(layout: Layout, shared: Option<Arc<Shared>>) -> Self {
        BlobStore { layout, shared, verified: Mutex::default() }
    }

    /// The path at which a blob is or would be.
    pub fn path(&self, digest: Digest) -> PathBuf {
        self.layout.blob(digest)
    }

    /// The length in bytes of a blob that is there.
    pub fn contains(&self, digest: Digest) -> Result<Option<u64>, CacheError> {
        let path = self.path(digest);
        match disk::look(&path) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(CacheError::io("read", &path)(error)),
        }
    }

    /// The blob's bytes, not verified; none where the blob is not there.
    pub fn open(&self, digest: Digest) -> Result<Option<File>, CacheError> {
        let path = self.path(digest);
        match disk::open(&path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(CacheError::io("read", &path)(error)),
        }
    }

    /// Stores what `content` yields, and says how many bytes. Refuses content of another digest. `content` is left
    /// unread where the blob is there already.
    pub fn put(&self, digest: Digest, content: &mut dyn Read) -> Result<u64, CacheError> {
        if let Some(bytes) = self.contains(digest)?
            && self.keep_existing(digest, bytes)?
        {
            return Ok(bytes);
        }
        let (aside, found, bytes) = self.receive(content, &self.path(digest))?;
        if found != digest {
            return Err(CacheError::OtherContent { expected: digest, found });
        }
        self.publish(aside, digest)?;
        Ok(bytes)
    }

    /// Writes what `content` yields, as [`BlobStore::put`] does, and gives it no name: that is for
    /// [`BlobStore::publish_all`].
    ///
    /// # Errors
    /// The content has another digest; I/O errors.
    pub fn stage(&self, digest: Digest, content: &mut dyn Read) -> Result<Staged, CacheError> {
        if let Some(bytes) = self.contains(digest)?
            && self.keep_existing(digest, bytes)?
        {
            return Ok(Staged { digest, aside: None });
        }
        let (aside, found, _) = self.receive(content, &self.path(digest))?;
        match found == digest {
            true => Ok(Staged { digest, aside: Some(aside) }),
            false => Err(CacheError::OtherContent { expected: digest, found }),
        }
    }

    /// Flushes and names what was staged, all of it at the same time. What came of each; one that fails does not keep the
    /// others from their names.
    pub fn publish_all(&self, staged: Vec<Staged>) -> Vec<Result<(), CacheError>> {
        let new: Vec<bool> = staged.iter().map(|staged| staged.aside.is_some()).collect();
        let digests: Vec<Digest> = staged.iter().map(|staged| staged.digest).collect();
        let files = staged.into_iter().filter_map(|Staged { digest, aside }| Some((aside?, self.path(digest))));
        let mut published = Aside::publish_all(files.collect(), READ_ONLY).into_iter();
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = |(new, digest): (bool, Digest)| {
            let outcome = if new { published.next().unwrap_or(Ok(())) } else { Ok(()) };
            if new && outcome.is_ok() {
                verified.insert(digest);
            }
            outcome
        };
        new.into_iter().zip(digests).map(outcome).collect()
    }

    /// Stores these bytes; their name and number.
    pub fn put_bytes(&self, bytes: &[u8]) -> Result<(Digest, u64), CacheError> {
        let digest = Digest::of(bytes);
        self.put_with_digest(digest, bytes)?;
        Ok((digest, bytes.len() as u64))
    }

    /// Stores bytes that the caller has hashed already.
    pub fn put_with_digest(&self, digest: Digest, bytes: &[u8]) -> Result<(), CacheError> {
        if self.keep_existing(digest, bytes.len() as u64)? {
            return Ok(());
        }
        let mut aside = Aside::new(&self.layout.blobs_tmp())?;
        aside.write(bytes)?;
        self.publish(aside, digest)
    }

    /// Stores a copy of a file; its digest and length.
    pub fn put_file(&self, path: &Path) -> Result<(Digest, u64), CacheError> {
        let mut file = disk::open(path).map_err(CacheError::io("read", path))?;
        let (aside, digest, bytes) = self.receive(&mut file, path)?;
        if !self.keep_existing(digest, bytes)? {
            self.publish(aside, digest)?;
        }
        Ok((digest, bytes))
    }

    /// The blob's bytes, verified unless this process has done so before. A damaged blob is set aside.
    pub fn read_verified(&self, digest: Digest) -> Result<Vec<u8>, CacheError> {
        let path = self.path(digest);
        self.bring(digest, &path)?;
        let bytes = disk::read(&path).map_err(|error| absent(digest, &path, error))?;
        if !self.is_verified(digest) {
            self.judge(digest, Digest::of(&bytes), &path)?;
        }
        Ok(bytes)
    }

    /// The blob's path, verified unless this process has done so before. A damaged blob is set aside.
    pub fn verify_once(&self, digest: Digest) -> Result<PathBuf, CacheError> {
        let path = self.path(digest);
        self.bring(digest, &path)?;
        if self.is_verified(digest) {
            disk::look(&path).map_err(|error| absent(digest, &path, error))?;
        } else {
            self.verify_now(digest)?;
        }
        Ok(path)
    }

    /// Hashes the blob whatever was known before; its length.
    pub(crate) fn verify_now(&self, digest: Digest) -> Result<u64, CacheError> {
        let path = self.path(digest);
        let (found, bytes) = Digest::of_file(&path).map_err(|error| absent(digest, &path, error))?;
        self.judge(digest, found, &path)?;
        Ok(bytes)
    }

    /// Brings a blob that is not here from the remote, if there is one.
    fn bring(&self, digest: Digest, path: &Path) -> Result<(), CacheError> {
        if let Some(shared) = &self.shared
            && !disk::exists(path)
        {
            shared.bring(self, digest, None)?;
        }
        Ok(())
    }

    /// Where bytes are written that come from elsewhere.
    pub(crate) fn incoming(&self, most: u64) -> Result<Incoming, CacheError> {
        Incoming::new(&self.layout, most)
    }

    /// Gives what came its name, if it is this; false where it is something else.
    pub(crate) fn accept(&self, incoming: Incoming, digest: Digest) -> Result<bool, CacheError> {
        let (aside, found) = incoming.end();
        if found == digest {
            self.publish(aside, digest)?;
        }
        Ok(found == digest)
    }

    fn judge(&self, digest: Digest, found: Digest, path: &Path) -> Result<(), CacheError> {
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if found == digest {
            verified.insert(digest);
            return Ok(());
        }
        verified.remove(&digest);
        let path = self.layout.set_aside(path, &format!("blob-{digest}"))?;
        tracing::warn!(%digest, path = %path.display(), "a damaged blob was set aside");
        Err(CacheError::Damaged { digest, path })
    }

    fn is_verified(&self, digest: Digest) -> bool {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner).contains(&digest)
    }

    /// Whether a blob of the right length is there. Its time is renewed, so that a concurrent `gc` takes it for one
    /// that was written just now. A wrong length is damage that can be seen without reading.
    fn keep_existing(&self, digest: Digest, bytes: u64) -> Result<bool, CacheError> {
        let path = self.path(digest);
        match self.contains(digest)? {
            None => Ok(false),
            Some(length) if length == bytes => {
                if let Err(error) = disk::renew(&path) {
                    tracing::debug!(%digest, %error, "the blob's time was not renewed");
                }
                // Whoever wrote it may not have come to flushing its name.
                aside::flush_name(&path)?;
                self.outlives_collection(digest)
            }
            Some(_) => {
                self.layout.set_aside(&path, &format!("blob-{digest}"))?;
                Ok(false)
            }
        }
    }

    /// Whether a blob whose time was renewed is there to stay. A garbage collection may have looked at its time before, and be
    /// about to remove it: that is waited for. One that looks at it from now on leaves it.
    fn outlives_collection(&self, digest: Digest) -> Result<bool, CacheError> {
        let is_there = || disk::exists(&self.path(digest));
        if !Lock::is_held(&self.layout.collecting())? {
            return Ok(is_there());
        }
        loop {
            match Lock::attempt(&self.layout.removal(digest))? {
                Attempt::Locked(_lock) => return Ok(is_there()),
                Attempt::Held(_) => thread::sleep(POLL),
            }
        }
    }

    fn publish(&self, aside: Aside, digest: Digest) -> Result<(), CacheError> {
        aside.publish(&self.path(digest), READ_ONLY)?;
        self.verified.lock().unwrap_or_else(PoisonError::into_inner).insert(digest);
        Ok(())
    }

    /// Copies `content` aside and hashes it in one pass. `from` is for the error's text.
    fn receive(&self, content: &mut dyn Read, from: &Path) -> Result<(Aside, Digest, u64), CacheError> {
        let mut aside = Aside::new(&self.layout.blobs_tmp())?;
        let mut hasher = blake3::Hasher::new();
        let mut buffer = vec![0u8; 1 << 20];
        let mut bytes = 0;
        loop {
            let read = match content.read(&mut buffer) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(CacheError::io("read", from)(error)),
            };
            if read == 0 {
                return Ok((aside, hasher.finalize().into(), bytes));
            }
            hasher.update(&buffer[..read]);
            aside.write(&buffer[..read])?;
            bytes += read as u64;
        }
    }
}

fn absent(digest: Digest, path: &Path, error: io::Error) -> CacheError {
    if error.kind() == io::ErrorKind::NotFound {
        return CacheError::Missing { digest, path: path.to_path_buf() };
    }
    CacheError::io("read", path)(error)
}
