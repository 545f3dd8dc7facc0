//! A plain folder as a store: of a file server, or of another disk. Objects are written aside, flushed and renamed, under
//! the names that a cache folder has; so any cache folder can be read as a store, and a store opened as a cache.

use super::store::{Seen, Store, StoreError};
use super::{beat, lease, probe};
use crate::aside::{Aside, ORDINARY, READ_ONLY};
use crate::{CacheError, disk};
use std::fs::Metadata;
use std::io::{self, ErrorKind, Read, Seek as _, SeekFrom, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The folder in each top folder for files that have no name yet.
const ASIDE: &str = "tmp";

/// A store in a folder, which has to be there: a file server that is not mounted is not to be taken for an empty store.
#[derive(Debug)]
pub struct Folder {
    url: String,
    root: PathBuf,
    /// Which folder it is: another one may lie under its path, such as the one that a file system is mounted on.
    inode: Option<u64>,
}

impl Folder {
    /// The store in this folder.
    pub fn new(root: &Path) -> Self {
        let inode = disk::look(root).ok().map(|metadata| metadata.ino());
        Folder { url: format!("file://{}", root.display()), root: root.to_path_buf(), inode }
    }

    /// Whether the folder is there, and is the one that it was.
    fn is_there(&self) -> bool {
        let inode = disk::look(&self.root).ok().filter(|metadata| metadata.is_dir()).map(|metadata| metadata.ino());
        inode.is_some() && self.inode.is_none_or(|known| inode == Some(known))
    }

    fn gone(&self) -> StoreError {
        let root = self.root.display();
        StoreError::NoSuchPlace(match self.root.is_dir() {
            true => format!("{root} is another folder than before; its file system may not be mounted"),
            false => format!("there is no folder {root}"),
        })
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// What is not there, if the store itself is.
    fn absent<T>(&self, name: &str, error: &io::Error) -> Result<Option<T>, StoreError> {
        match error.kind() {
            ErrorKind::NotFound if self.is_there() => Ok(None),
            _ => Err(self.told(name, error)),
        }
    }

    fn told(&self, name: &str, error: &io::Error) -> StoreError {
        if !self.is_there() {
            return self.gone();
        }
        let text = format!("{}: {error}", self.path(name).display());
        match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => StoreError::Denied(text),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::Full(text),
            ErrorKind::TimedOut
            | ErrorKind::StaleNetworkFileHandle
            | ErrorKind::ResourceBusy
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::NetworkDown
            | ErrorKind::ConnectionReset => StoreError::Unavailable(text),
            // A file server that is gone for a while says this.
            _ if error.raw_os_error() == Some(nix::libc::EIO) => StoreError::Unavailable(text),
            _ => StoreError::Other(text),
        }
    }

    fn told_by_cache(&self, name: &str, error: CacheError) -> StoreError {
        match error {
            CacheError::Full { path } => StoreError::Full(path.display().to_string()),
            CacheError::NotWritable { path, source, .. } => StoreError::Denied(format!("{}: {source}", path.display())),
            CacheError::Io { source, .. } => self.told(name, &source),
            error => StoreError::Other(error.to_string()),
        }
    }
}

impl Store for Folder {
    fn url(&self) -> &str {
        &self.url
    }

    fn get(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let file = match disk::open(&self.path(name)) {
            Ok(file) => file,
            Err(error) => return self.absent(name, &error),
        };
        let mut bytes = Vec::new();
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| self.told(name, &error))?;
        if bytes.len() as u64 > limit {
            return Err(StoreError::Other(format!("{}: longer than {limit} bytes", self.path(name).display())));
        }
        Ok(Some(bytes))
    }

    fn read(&self, name: &str, from: u64, into: &mut dyn Write) -> Result<bool, StoreError> {
        let mut file = match disk::open(&self.path(name)) {
            Ok(file) => file,
            Err(error) => return Ok(self.absent::<()>(name, &error)?.is_some()),
        };
        file.seek(SeekFrom::Start(from)).map_err(|error| self.told(name, &error))?;
        let mut buffer = vec![0u8; 1 << 20];
        loop {
            let read = match file.read(&mut buffer) {
                Ok(0) => return Ok(true),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.told(name, &error)),
            };
            into.write_all(&buffer[..read]).map_err(|error| StoreError::Other(error.to_string()))?;
        }
    }

    fn put(&self, name: &str, bytes: u64, body: &mut dyn Read) -> Result<Seen, StoreError> {
        if !self.is_there() {
            return Err(self.gone());
        }
        let top = name.split_once('/').map_or(self.root.clone(), |(top, _)| self.root.join(top).join(ASIDE));
        let mut aside = Aside::below(&self.root, &top).map_err(|error| self.told_by_cache(name, error))?;
        let mut buffer = vec![0u8; 1 << 20];
        let mut written = 0;
        loop {
            let read = match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(StoreError::Other(error.to_string())),
            };
            aside.write(&buffer[..read]).map_err(|error| self.told_by_cache(name, error))?;
            written += read as u64;
        }
        if written != bytes {
            return Err(StoreError::Other(format!("{name}: {written} bytes came instead of {bytes}")));
        }
        let mode = if name.starts_with("blobs-") { READ_ONLY } else { ORDINARY };
        let path = self.path(name);
        // What says that somebody lives or is at work is of no use after a power cut, nor is what a store is tried out with.
        let published = match [beat::FOLDER, lease::FOLDER, probe::FOLDER].iter().any(|folder| name.starts_with(folder))
        {
            true => aside.publish_accelerator(&path),
            false => aside.publish(&path, mode),
        };
        published.map_err(|error| self.told_by_cache(name, error))?;
        disk::look(&path).map(|metadata| seen(&metadata)).map_err(|error| self.told(name, &error))
    }

    fn head(&self, name: &str) -> Result<Option<Seen>, StoreError> {
        match disk::look(&self.path(name)) {
            Ok(metadata) => Ok(Some(seen(&metadata))),
            Err(error) => self.absent(name, &error),
        }
    }

    fn list(&self, folder: &str) -> Result<Vec<(String, Seen)>, StoreError> {
        let mut found = Vec::new();
        let mut folders = vec![folder.to_string()];
        while let Some(folder) = folders.pop() {
            let listing = match disk::list(&self.path(&folder)) {
                Ok(listing) => listing,
                Err(error) => match self.absent::<()>(&folder, &error)? {
                    None => continue,
                    Some(()) => break,
                },
            };
            for entry in listing {
                let entry = entry.map_err(|error| self.told(&folder, &error))?;
                let Ok(name) = entry.file_name().into_string() else { continue };
                let path = format!("{folder}/{name}");
                match entry.metadata() {
                    Ok(metadata) if metadata.is_dir() && name == ASIDE => {}
                    Ok(metadata) if metadata.is_dir() => folders.push(path),
                    Ok(metadata) => found.push((path, seen(&metadata))),
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    Err(error) => return Err(self.told(&path, &error)),
                }
            }
        }
        Ok(found)
    }

    fn delete(&self, names: &[String]) -> Result<(), StoreError> {
        for name in names {
            match disk::unlink(&self.path(name)) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(self.told(name, &error)),
                _ => {}
            }
        }
        Ok(())
    }
}

/// A file that is written anew is another file, or has another time.
fn seen(metadata: &Metadata) -> Seen {
    let version = (metadata.mtime() as u64).wrapping_mul(1_000_000_000).wrapping_add(metadata.mtime_nsec() as u64);
    let written = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    Seen { bytes: metadata.len(), version: version.rotate_left(20) ^ metadata.ino(), written }
}

/// Whether a folder can be used as a store: it is empty, or a store or a cache already.
pub(super) fn is_usable(root: &Path) -> io::Result<Option<String>> {
    let mut names = Vec::new();
    for entry in disk::list(root)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    let folders = ["blobs-v", "records-v", "leases-v", "beats-v", "reached-v", "runs-v", "packs-v", "probe-v", "gc-v"];
    let ours = |name: &String| {
        name == super::remote::MARK || name == "CACHEDIR.TAG" || folders.iter().any(|ours| name.starts_with(ours))
    };
    let other = names.iter().find(|name| *name != "lost+found");
    Ok(if names.iter().any(ours) { None } else { other.cloned() })
}
