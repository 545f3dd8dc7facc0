//! A blob on its way here, of which neither the sender nor the line is trusted: its bytes are hashed as they come, and no
//! more of them are taken than were promised. It gets its name when its digest is right.

use crate::aside::Aside;
use crate::layout::Layout;
use crate::{CacheError, Digest};
use std::io::{self, Write};

/// Bytes that are written aside. Dropping it removes them.
pub(crate) struct Incoming {
    aside: Aside,
    hasher: blake3::Hasher,
    bytes: u64,
    most: u64,
    fault: Option<CacheError>,
}

impl Incoming {
    /// Nothing yet; more than `most` bytes are refused.
    pub fn new(layout: &Layout, most: u64) -> Result<Self, CacheError> {
        let aside = Aside::new(&layout.blobs_tmp())?;
        Ok(Incoming { aside, hasher: blake3::Hasher::new(), bytes: 0, most, fault: None })
    }

    /// How many bytes have come.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Why they could not be written here, if that was so.
    pub fn fault(&mut self) -> Option<CacheError> {
        self.fault.take()
    }

    /// The file, and the digest of what came.
    pub fn end(self) -> (Aside, Digest) {
        (self.aside, self.hasher.finalize().into())
    }
}

impl Write for Incoming {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes + bytes.len() as u64 > self.most {
            return Err(io::Error::other("more bytes than its record says"));
        }
        if let Err(error) = self.aside.write(bytes) {
            let told = error.to_string();
            self.fault = Some(error);
            return Err(io::Error::other(told));
        }
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
