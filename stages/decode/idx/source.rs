//! Reads the bytes of a file, which may be gzipped, and keeps the offset of what was read last. Memory grows with the
//! bytes that are read, not with the size that a header announces.

use crate::data::gzip::{Gunzip, MAGIC};
use anyhow::{Context as _, Result, bail};
use std::borrow::Cow;
use std::io::{ErrorKind, Read};

/// A file that is read from front to end.
pub enum Source<'a> {
    /// Not compressed: all bytes, and the number of bytes read so far.
    Plain(&'a [u8], usize),
    /// gzip with one or several members: the decoder, and the number of unpacked bytes read so far.
    Gzip(Box<Gunzip<'a>>, usize),
}

impl<'a> Source<'a> {
    /// Opens a file; the first two bytes decide whether it is gzipped.
    pub fn new(bytes: &'a [u8]) -> Self {
        if bytes.starts_with(&MAGIC) { Source::Gzip(Box::new(Gunzip::new(bytes)), 0) } else { Source::Plain(bytes, 0) }
    }

    /// The comment in the gzip header, if there is one; known only after the first byte was read.
    pub fn comment(&self) -> Option<String> {
        match self {
            Source::Plain(..) => None,
            Source::Gzip(decoder, _) => decoder.comment(),
        }
    }

    /// The number of unpacked bytes read so far.
    pub fn offset(&self) -> usize {
        match self {
            Source::Plain(_, offset) | Source::Gzip(_, offset) => *offset,
        }
    }

    /// The next `amount` bytes, or fewer if the file ends; an error if the gzip stream is damaged or incomplete.
    pub fn take(&mut self, amount: usize) -> Result<Cow<'a, [u8]>> {
        match self {
            Source::Plain(bytes, offset) => {
                let rest = &bytes[*offset..];
                let taken = &rest[..amount.min(rest.len())];
                *offset += taken.len();
                Ok(Cow::Borrowed(taken))
            }
            Source::Gzip(decoder, offset) => {
                let mut taken = Vec::new();
                let result = decoder.take(amount as u64).read_to_end(&mut taken);
                *offset += taken.len();
                match result {
                    Ok(_) => Ok(Cow::Owned(taken)),
                    Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                        bail!("offset {offset}: the gzip stream is incomplete; fetch the file again")
                    }
                    Err(error) if error.kind() == ErrorKind::InvalidData && error.get_ref().is_some() => {
                        bail!("offset {offset}: {error}; fetch the file again")
                    }
                    Err(error) if error.kind() == ErrorKind::OutOfMemory => bail!("offset {offset}: out of memory"),
                    Err(error) => Err(error)
                        .with_context(|| format!("offset {offset}: the gzip stream is damaged; fetch the file again")),
                }
            }
        }
    }

    /// Checks that no bytes follow; for gzip this also verifies the checksum.
    pub fn end(&mut self) -> Result<()> {
        let offset = self.offset();
        if !self.take(1)?.is_empty() {
            bail!("offset {offset}: more bytes follow than the header announces");
        }
        Ok(())
    }
}
