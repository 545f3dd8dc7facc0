//! Files are written aside, flushed and renamed, so that a name either does not exist or names the whole content.
//! Knows paths and bytes only.

use crate::{CacheError, disk};
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Nobody writes to a published blob.
pub(crate) const READ_ONLY: u32 = 0o444;
/// Records and indices are replaced, and their times are touched.
pub(crate) const ORDINARY: u32 = 0o644;

/// A file that nobody can see yet. Dropping it removes it.
pub(crate) struct Aside {
    file: File,
    path: PathBuf,
    renamed: bool,
}

impl Aside {
    /// A new file in `folder`, which has to be in the file system of what it will become.
    pub fn new(folder: &Path) -> Result<Self, CacheError> {
        let create = || tempfile::Builder::new().make_in(folder, disk::create_new);
        let made = create().or_else(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                return Err(error);
            }
            disk::make_folders(folder)?;
            create()
        });
        // From here on it is this type that removes the file, so that the removal goes through `disk` too.
        let kept = made.and_then(|made| made.keep().map_err(|failed| failed.error));
        let (file, path) = kept.map_err(CacheError::io("write a file in", folder))?;
        Ok(Aside { file, path, renamed: false })
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<(), CacheError> {
        disk::write_all(&mut self.file, &self.path, bytes).map_err(CacheError::io("write", &self.path))
    }

    /// Gives the content its name, in a way that survives a power cut.
    pub fn publish(self, target: &Path, mode: u32) -> Result<(), CacheError> {
        self.allow(target, mode)?;
        disk::sync_file(&self.file, &self.path).map_err(CacheError::io("flush", target))?;
        let folder = target.parent().unwrap_or(target);
        if !disk::exists(folder) {
            disk::make_folders(folder).map_err(CacheError::io("create", folder))?;
            forget_flushed(folder);
        }
        self.rename(target)?;
        flush_name(target)
    }

    /// Like [`Aside::publish`] for what may be lost in a power cut: whole or absent to every process, but not flushed.
    pub fn publish_accelerator(self, target: &Path) -> Result<(), CacheError> {
        self.allow(target, ORDINARY)?;
        if let Some(folder) = target.parent()
            && !disk::exists(folder)
        {
            disk::make_folders(folder).map_err(CacheError::io("create", folder))?;
        }
        self.rename(target)
    }

    /// In a cache whose folders the group may write to, the group may replace and touch files too.
    fn allow(&self, target: &Path, mode: u32) -> Result<(), CacheError> {
        let folder = self.path.parent().and_then(|folder| disk::look(folder).ok());
        let shared = mode & 0o200 != 0 && folder.is_some_and(|folder| folder.permissions().mode() & 0o020 != 0);
        let mode = if shared { mode | 0o020 } else { mode };
        disk::set_mode(&self.file, &self.path, mode).map_err(CacheError::io("write", target))
    }

    fn rename(mut self, target: &Path) -> Result<(), CacheError> {
        disk::rename(&self.path, target).map_err(CacheError::io("write", target))?;
        self.renamed = true;
        Ok(())
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if !self.renamed
            && let Err(error) = disk::unlink(&self.path)
        {
            tracing::debug!(path = %self.path.display(), %error, "a temporary file stays until gc");
        }
    }
}

/// Folders whose own names this process knows to survive a power cut: it flushed the folders above them since.
static FLUSHED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Makes the name of a published file survive a power cut, whoever gave it: the name in its shard, the shard's name among
/// the shards, theirs in the cache's folder, and that one's. Another process may have made any of them a moment ago, or
/// may have failed to flush it.
pub(crate) fn flush_name(target: &Path) -> Result<(), CacheError> {
    let folders: Vec<&Path> = target.ancestors().skip(1).take(4).collect();
    let Some((shard, above)) = folders.split_first() else { return Ok(()) };
    for (folder, above) in folders.iter().zip(above) {
        if !FLUSHED.lock().unwrap_or_else(PoisonError::into_inner).contains(*folder) {
            flush_folder(above)?;
            FLUSHED.lock().unwrap_or_else(PoisonError::into_inner).insert(folder.to_path_buf());
        }
    }
    flush_folder(shard)
}

/// A folder above the cache that this user may not read is left to the system: it cannot be opened.
fn flush_folder(folder: &Path) -> Result<(), CacheError> {
    match disk::sync_folder(folder) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            tracing::debug!(path = %folder.display(), %error, "a folder was not flushed");
            Ok(())
        }
        flushed => flushed.map_err(CacheError::io("flush", folder)),
    }
}

fn forget_flushed(folder: &Path) {
    let mut flushed = FLUSHED.lock().unwrap_or_else(PoisonError::into_inner);
    flushed.retain(|known| !folder.starts_with(known) && known != folder);
}

/// Makes a folder, and those above it that are missing, so that their names survive a power cut.
pub(crate) fn make_folders_for_good(folder: &Path) -> Result<(), CacheError> {
    let missing: Vec<&Path> = folder.ancestors().take_while(|folder| !disk::exists(folder)).collect();
    disk::make_folders(folder).map_err(CacheError::io("create", folder))?;
    for above in missing.iter().rev().filter_map(|folder| folder.parent()) {
        flush_folder(above)?;
    }
    Ok(())
}
