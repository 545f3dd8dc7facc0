//! One output between its stage and the cache: hashed, readable, not yet written. Tensors are written from the memory in
//! which the next stage finds them; nothing is copied for the disk.

use crate::artifact::{Content, Pieces};
use anyhow::Result;
use ddpipe_cache::Digest;
use std::io::Read;
use std::sync::Arc;

/// The bytes of an output. Clones share them.
#[derive(Clone, Debug)]
pub enum Pending {
    /// Bytes or a file.
    Content(Content),
    /// Tensors and their header.
    Tensors(Pieces),
}

impl Pending {
    /// The number of bytes.
    pub fn len(&self) -> u64 {
        match self {
            Pending::Content(content) => content.len(),
            Pending::Tensors(pieces) => pieces.len() as u64,
        }
    }

    /// Bytes of memory that are held for it; a file holds none.
    pub fn in_memory(&self) -> u64 {
        if let Pending::Content(Content::File(..)) = self { 0 } else { self.len() }
    }

    /// BLAKE3 of the bytes.
    pub fn digest(&self) -> Result<Digest> {
        let mut hasher = blake3::Hasher::new();
        match self {
            Pending::Content(Content::Memory(bytes)) => _ = hasher.update(bytes),
            Pending::Content(content) => _ = hasher.update_reader(content.reader())?,
            Pending::Tensors(pieces) => pieces.parts()?.into_iter().for_each(|part| _ = hasher.update(part)),
        }
        Ok(hasher.finalize().into())
    }

    /// Reads from front to end.
    pub fn with_reader<T>(&self, read: impl FnOnce(&mut dyn Read) -> Result<T>) -> Result<T> {
        match self {
            Pending::Content(content) => read(&mut content.reader()),
            Pending::Tensors(pieces) => read(&mut pieces.reader()?),
        }
    }

    /// All bytes in memory; a copy, unless they lie there in one piece.
    pub fn to_vec(&self) -> Result<Arc<Vec<u8>>> {
        match self {
            Pending::Content(content) => Ok(content.to_vec()?),
            Pending::Tensors(pieces) => Ok(Arc::new(pieces.to_vec()?)),
        }
    }

    /// The bytes where they are, where a stage may read them from several threads.
    pub fn content(&self) -> Result<Content> {
        match self {
            Pending::Content(content) => Ok(content.clone()),
            Pending::Tensors(_) => Ok(Content::Memory(self.to_vec()?)),
        }
    }
}

impl From<Vec<u8>> for Pending {
    fn from(bytes: Vec<u8>) -> Self {
        Pending::Content(Content::Memory(Arc::new(bytes)))
    }
}
