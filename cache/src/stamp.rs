//! What the file system says about a file's content without reading it. Two equal stamps of a file mean that nobody wrote
//! to it in between, as far as the clock of the file system can tell.

use serde::{Deserialize, Serialize};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::time::{SystemTime, UNIX_EPOCH};

/// A file that changed less than this before it was read may change again within the same time stamp.
const RACY_NS: i128 = 2_000_000_000;

/// A file's length, times and identity: what changes when somebody writes to the file or replaces it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    bytes: u64,
    mtime_ns: i128,
    ctime_ns: i128,
    device: u64,
    inode: u64,
}

impl Stamp {
    /// The stamp of an open file, as of now.
    ///
    /// # Errors
    /// The file system does not tell.
    pub fn of(file: &File) -> io::Result<Self> {
        Ok(Stamp::seen(&file.metadata()?))
    }

    /// The stamp of what the file system said.
    pub(crate) fn seen(metadata: &Metadata) -> Self {
        let ns = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
        Stamp {
            bytes: metadata.len(),
            mtime_ns: ns(metadata.mtime(), metadata.mtime_nsec()),
            ctime_ns: ns(metadata.ctime(), metadata.ctime_nsec()),
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }

    /// How many bytes [`Stamp::to_bytes`] gives.
    pub(crate) const BYTES: usize = 56;

    pub(crate) fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.bytes.to_le_bytes());
        bytes[8..24].copy_from_slice(&self.mtime_ns.to_le_bytes());
        bytes[24..40].copy_from_slice(&self.ctime_ns.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.device.to_le_bytes());
        bytes[48..].copy_from_slice(&self.inode.to_le_bytes());
        bytes
    }

    pub(crate) fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let short = |at: usize| {
            let mut part = [0; 8];
            part.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(part)
        };
        let long = |at: usize| {
            let mut part = [0; 16];
            part.copy_from_slice(&bytes[at..at + 16]);
            i128::from_le_bytes(part)
        };
        Stamp { bytes: short(0), mtime_ns: long(8), ctime_ns: long(24), device: short(40), inode: short(48) }
    }

    /// The file's length in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether the file was written to so shortly before `read_at` that a later change may not show in its times. A time of
    /// writing that lies ahead was set by somebody, or by another clock; then the file system's own time of change decides.
    pub(crate) fn is_racy(&self, read_at: SystemTime) -> bool {
        let read_ns = read_at.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as i128;
        let last = if self.mtime_ns > read_ns { self.ctime_ns } else { self.mtime_ns.max(self.ctime_ns) };
        last + RACY_NS > read_ns
    }
}
