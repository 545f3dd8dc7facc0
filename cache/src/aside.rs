//! Files are written aside, flushed and renamed, so that a name either does not exist or names the whole content.
//! Knows paths and bytes only.

use crate::CacheError;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::NamedTempFile;

/// Nobody writes to a published blob.
pub(crate) const READ_ONLY: u32 = 0o444;
/// Records and indices are replaced, and their times are touched.
pub(crate) const ORDINARY: u32 = 0o644;

/// A file that nobody can see yet. Dropping it removes it.
pub(crate) struct Aside(NamedTempFile);

impl Aside {
    /// A new file in `folder`, which has to be in the file system of what it will become.
    pub fn new(folder: &Path) -> Result<Self, CacheError> {
        let file = NamedTempFile::new_in(folder).or_else(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                return Err(error);
            }
            fs::create_dir_all(folder)?;
            NamedTempFile::new_in(folder)
        });
        Ok(Aside(file.map_err(CacheError::io("write a file in", folder))?))
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<(), CacheError> {
        self.0.write_all(bytes).map_err(CacheError::io("write", self.0.path()))
    }

    /// Gives the content its name, in a way that survives a power cut.
    pub fn publish(self, target: &Path, mode: u32) -> Result<(), CacheError> {
        self.allow(target, mode)?;
        self.0.as_file().sync_all().map_err(CacheError::io("flush", target))?;
        let folder = target.parent().unwrap_or(target);
        if !folder.exists() {
            fs::create_dir_all(folder).map_err(CacheError::io("create", folder))?;
            sync_folder(folder.parent().unwrap_or(folder))?;
        }
        self.rename(target)?;
        sync_folder(folder)
    }

    /// Like [`Aside::publish`] for what may be lost in a power cut: whole or absent to every process, but not flushed.
    pub fn publish_accelerator(self, target: &Path) -> Result<(), CacheError> {
        self.allow(target, ORDINARY)?;
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).map_err(CacheError::io("create", folder))?;
        }
        self.rename(target)
    }

    /// In a cache whose folders the group may write to, the group may replace and touch files too.
    fn allow(&self, target: &Path, mode: u32) -> Result<(), CacheError> {
        let folder = self.0.path().parent().and_then(|folder| fs::metadata(folder).ok());
        let shared = mode & 0o200 != 0 && folder.is_some_and(|folder| folder.permissions().mode() & 0o020 != 0);
        let mode = if shared { mode | 0o020 } else { mode };
        self.0.as_file().set_permissions(Permissions::from_mode(mode)).map_err(CacheError::io("write", target))
    }

    fn rename(self, target: &Path) -> Result<(), CacheError> {
        self.0.persist(target).map(drop).map_err(|failed| CacheError::io("write", target)(failed.error))
    }
}

fn sync_folder(folder: &Path) -> Result<(), CacheError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(CacheError::io("flush", folder))
}
