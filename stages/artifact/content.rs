//! The bytes of an artifact, without having all of them in memory: an archive of images is read file by file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Bytes in memory, or in an open file. Clones share them.
#[derive(Clone, Debug)]
pub enum Content {
    /// Bytes in memory.
    Memory(Arc<Vec<u8>>),
    /// Bytes in this file, and their number.
    File(Arc<File>, u64),
}

impl Content {
    /// The content of a whole file.
    pub fn of_file(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Content::File(Arc::new(file), length))
    }

    /// The number of bytes.
    pub fn len(&self) -> u64 {
        match self {
            Content::Memory(bytes) => bytes.len() as u64,
            Content::File(_, length) => *length,
        }
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads all bytes into memory; bytes that are there already are shared.
    pub fn to_vec(&self) -> io::Result<Arc<Vec<u8>>> {
        if let Content::Memory(bytes) = self {
            return Ok(bytes.clone());
        }
        let mut bytes = Vec::with_capacity(usize::try_from(self.len()).unwrap_or_default());
        self.reader().read_to_end(&mut bytes)?;
        Ok(Arc::new(bytes))
    }

    /// A reader at the start of the bytes. Clones of a reader have their own positions.
    pub fn reader(&self) -> Reader {
        Reader { content: self.clone(), position: 0 }
    }
}

/// A reader of a [`Content`] with its own position.
#[derive(Clone, Debug)]
pub struct Reader {
    content: Content,
    position: u64,
}

impl Read for Reader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.content.len().saturating_sub(self.position);
        let wanted = into.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = match &self.content {
            _ if wanted == 0 => 0,
            Content::Memory(bytes) => {
                let start = self.position as usize;
                into[..wanted].copy_from_slice(&bytes[start..start + wanted]);
                wanted
            }
            Content::File(file, _) => file.read_at(&mut into[..wanted], self.position)?,
        };
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(by) => self.content.len().checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = position.ok_or_else(|| io::Error::other("a position before the start"))?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn memory_and_file_read_alike() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        for content in [Content::of_file(file).unwrap(), Content::Memory(Arc::new(b"0123456789".to_vec()))] {
            assert_eq!((content.len(), content.to_vec().unwrap().as_slice()), (10, b"0123456789".as_slice()));
            let mut reader = content.reader();
            assert_eq!(reader.seek(SeekFrom::End(-3)).unwrap(), 7);
            let mut other = reader.clone();
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            assert_eq!(text, "789");
            other.seek(SeekFrom::Current(-5)).unwrap();
            let mut some = [0; 4];
            other.read_exact(&mut some).unwrap();
            assert_eq!(&some, b"2345");
            assert!(other.seek(SeekFrom::Current(-99)).is_err());
            other.seek(SeekFrom::Start(99)).unwrap();
            assert_eq!(other.read(&mut some).unwrap(), 0);
        }
    }
}
