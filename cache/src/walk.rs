//! Walks over the cache's folders. What vanishes meanwhile is skipped, because other processes are at work.

use crate::layout::Layout;
use crate::{CacheError, Count, Digest, Key, disk};
use std::fs::{DirEntry, Metadata};
use std::io;
use std::path::{Path, PathBuf};

/// A file or folder that was there a moment ago.
pub(crate) struct Entry {
    pub name: String,
    pub path: PathBuf,
    pub metadata: Metadata,
}

/// What is directly in a folder, by name; nothing if there is no such folder.
pub(crate) fn entries(folder: &Path) -> Result<Vec<Entry>, CacheError> {
    let listing = match disk::list(folder) {
        Ok(listing) => listing,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(CacheError::io("read", folder)(error)),
    };
    let entry = |entry: io::Result<DirEntry>| -> io::Result<Entry> {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        Ok(Entry { name, path: entry.path(), metadata: entry.metadata()? })
    };
    let mut entries = Vec::new();
    for found in listing.map(entry) {
        match found {
            Ok(entry) => entries.push(entry),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(CacheError::io("read", folder)(error)),
        }
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

/// Every blob under its name.
pub(crate) fn blobs(layout: &Layout) -> Result<Vec<(Digest, Entry)>, CacheError> {
    sharded(&layout.blobs(), |name| name.parse().ok())
}

/// Every file that bears a record's name.
pub(crate) fn records(layout: &Layout) -> Result<Vec<(Key, Entry)>, CacheError> {
    sharded(&layout.records(), |name| name.strip_suffix(".json")?.parse().ok())
}

fn sharded<Name>(folder: &Path, parse: impl Fn(&str) -> Option<Name>) -> Result<Vec<(Name, Entry)>, CacheError> {
    let mut found = Vec::new();
    for shard in entries(folder)?.into_iter().filter(|entry| entry.metadata.is_dir() && entry.name.len() == 2) {
        for entry in entries(&shard.path)? {
            if let Some(name) = parse(&format!("{}{}", shard.name, entry.name)) {
                found.push((name, entry));
            }
        }
    }
    Ok(found)
}

/// The files below a path and their bytes; of a file, itself.
pub(crate) fn measure(path: &Path) -> Result<Count, CacheError> {
    match disk::look_at_link(path) {
        Ok(metadata) if metadata.is_dir() => {
            let mut count = Count::default();
            for entry in entries(path)? {
                count += if entry.metadata.is_dir() { measure(&entry.path)? } else { Count::one(entry.metadata.len()) };
            }
            Ok(count)
        }
        Ok(metadata) => Ok(Count::one(metadata.len())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Count::default()),
        Err(error) => Err(CacheError::io("read", path)(error)),
    }
}
