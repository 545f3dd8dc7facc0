//! One record with its outputs goes to the remote: every blob first, and each is hashed as it is read; then the record. So
//! nobody ever finds a record there whose blobs are not. Blobs are written also where there is one of the name already: one
//! that is damaged there is whole afterwards.

use super::bring::RECORD_LIMIT;
use super::collect::{self, LONGEST_SENDING};
use super::notes::FileHere;
use super::portable::portable;
use super::remote::Shared;
use super::sign;
use super::store::StoreError;
use crate::layout::Layout;
use crate::sealed::{self, Opened};
use crate::{Cache, CacheError, Digest, Key, disk};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::time::Instant;

/// A record is sent so often anew while its blobs are taken for garbage there; then it stays in the outbox.
const TRIES: u32 = 5;

/// What became of a record that was to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// It is there, and so many blobs of so many bytes were sent with it.
    There { blobs: u64, bytes: u64 },
    /// It was there before, with outputs that are not here, and was not written again.
    ThereAlone,
    /// It is not whole here any more: collected, damaged, or its blobs were never here.
    Gone,
    /// A record of a newer ddpipe is there, which stays.
    Newer,
}

/// Why a record was not sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotSent {
    #[error(transparent)]
    Here(#[from] CacheError),
    #[error(transparent)]
    There(#[from] StoreError),
}

impl Shared {
    /// Sends a record and its outputs.
    pub(super) fn publish(&self, cache: &Cache, key: Key) -> Result<Sent, NotSent> {
        let Some((text, outputs)) = whole(cache, key)? else {
            self.marks.sent(key);
            return Ok(Sent::Gone);
        };
        let text = match &self.notary {
            Some(notary) => sign::signed(text, &**notary),
            None => text,
        };
        self.meet(true)?;
        let name = Layout::record_name(key);
        let before = self.asking.ask(|store| store.get(&name, RECORD_LIMIT));
        // What is damaged or too long there is written anew.
        let before =
            before.or_else(|error| if matches!(error, StoreError::Other(_)) { Ok(None) } else { Err(error) })?;
        if let Some(Opened::Newer(format)) = before.as_deref().and_then(sealed::open) {
            self.say(&format!("record {} has format {format} there, of a newer ddpipe; it stays", key.short()));
            self.marks.sent(key);
            return Ok(Sent::Newer);
        }
        let digests: BTreeSet<Digest> = outputs.keys().copied().collect();
        let mut tries = 0;
        let (blobs, sent) = loop {
            let began = Instant::now();
            let (mut blobs, mut sent) = (0, 0);
            for (digest, bytes) in &outputs {
                if self.put_blob(cache, *digest, *bytes)? {
                    (blobs, sent) = (blobs + 1, sent + bytes);
                } else {
                    // A record is there whose outputs are; one cannot be written whose outputs were not sent just now.
                    self.marks.sent(key);
                    let is_there = self.has(key, *digest);
                    return Ok(if is_there { Sent::ThereAlone } else { Sent::Gone });
                }
            }
            let is_removing = self.asking.ask(|store| collect::is_removing(store, &digests))?;
            if !is_removing && began.elapsed() < LONGEST_SENDING {
                break (blobs, sent);
            }
            tries += 1;
            if tries == TRIES {
                return Err(StoreError::Other("garbage is being collected there".into()).into());
            }
            self.asking.rest(tries);
        };
        self.asking.change(|store| store.put(&name, text.len() as u64, &mut text.as_slice()))?;
        self.trust(outputs.into_keys());
        self.marks.found(key);
        self.marks.sent(key);
        self.packs.note_news();
        Ok(Sent::There { blobs, bytes: sent })
    }

    /// Sends a blob; false where it is not here, or damaged.
    fn put_blob(&self, cache: &Cache, digest: Digest, bytes: u64) -> Result<bool, NotSent> {
        let name = Layout::blob_name(digest);
        let mut wrong = false;
        let sent = self.asking.change(|store| {
            let Ok(Some(file)) = cache.blobs().open(digest) else { return Ok(None) };
            let mut body = Hashed { file, hasher: blake3::Hasher::new(), expected: digest, wrong: false };
            let put = store.put(&name, bytes, &mut body);
            wrong = body.wrong;
            let seen = put?;
            if seen.bytes != bytes {
                return Err(StoreError::Unavailable(format!("{name} has {} of {bytes} bytes there", seen.bytes)));
            }
            Ok(Some(()))
        });
        if wrong {
            // Sets it aside; whatever made it makes it again.
            if let Err(error) = cache.blobs().verify_now(digest) {
                tracing::warn!(%error, "a blob was not sent");
            }
            return Ok(false);
        }
        Ok(sent?.is_some())
    }
}

impl Shared {
    /// Sends a file as a blob.
    pub(super) fn put_file(&self, file: &FileHere) -> Result<(), NotSent> {
        let FileHere { path, digest, bytes } = file;
        let mut fault = None;
        let sent = self.asking.change(|store| {
            let file = match File::open(path) {
                Ok(file) => file,
                Err(error) => {
                    fault = Some(CacheError::io("read", path)(error));
                    return Ok(());
                }
            };
            let mut body = Hashed { file, hasher: blake3::Hasher::new(), expected: *digest, wrong: false };
            let put = store.put(&Layout::blob_name(*digest), *bytes, &mut body);
            if body.wrong {
                let error = io::Error::other("it has changed since the run began");
                fault = Some(CacheError::io("send", path)(error));
            }
            put.map(drop)
        });
        if let Some(fault) = fault {
            return Err(fault.into());
        }
        sent?;
        self.trust(std::iter::once(*digest));
        Ok(())
    }
}

/// The text of a record for the remote, and its outputs by digest, with their lengths.
type Whole = (Vec<u8>, BTreeMap<Digest, u64>);

/// A record that is whole here.
fn whole(cache: &Cache, key: Key) -> Result<Option<Whole>, CacheError> {
    let path = cache.layout().record(key);
    let text = match disk::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(CacheError::io("read", &path)(error)),
    };
    let Some(Opened::Record(record)) = sealed::open(&text) else { return Ok(None) };
    if !cache.lost_outputs(&record)?.is_empty() {
        return Ok(None);
    }
    let outputs = record.outputs.values().map(|output| (output.digest, output.bytes)).collect();
    Ok(portable(&text).map(|text| (text, outputs)))
}

/// A blob's bytes, with an error in place of their end where they have another digest: then the store has no object of
/// them.
struct Hashed {
    file: File,
    hasher: blake3::Hasher,
    expected: Digest,
    wrong: bool,
}

impl Read for Hashed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        if read == 0 && !buffer.is_empty() && Digest::from(self.hasher.finalize()) != self.expected {
            self.wrong = true;
            return Err(io::Error::new(ErrorKind::InvalidData, "the blob is damaged here"));
        }
        Ok(read)
    }
}
