//! Files are written aside, flushed and renamed, so that a name either does not exist or names the whole content.
//! Knows paths and bytes only.

use crate::{CacheError, disk};
use std::collections::{BTreeMap, BTreeSet};
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
    /// Folders are made below this one alone.
    root: Option<PathBuf>,
    renamed: bool,
}

impl Aside {
    /// A new file in `folder`, which has to be in the file system of what it will become.
    pub fn new(folder: &Path) -> Result<Self, CacheError> {
        Aside::make(None, folder)
    }

    /// Likewise, below a folder that is not made where it is missing: a file server may be gone for a while.
    pub fn below(root: &Path, folder: &Path) -> Result<Self, CacheError> {
        Aside::make(Some(root), folder)
    }

    fn make(root: Option<&Path>, folder: &Path) -> Result<Self, CacheError> {
        let create = || tempfile::Builder::new().make_in(folder, disk::create_new);
        let made = create().or_else(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                return Err(error);
            }
            disk::make_folders_below(root, folder)?;
            create()
        });
        // From here on it is this type that removes the file, so that the removal goes through `disk` too.
        let kept = made.and_then(|made| made.keep().map_err(|failed| failed.error));
        let (file, path) = kept.map_err(CacheError::io("write a file in", folder))?;
        Ok(Aside { file, path, root: root.map(Path::to_path_buf), renamed: false })
    }

    /// Where it is written, under a name that nobody knows.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<(), CacheError> {
        disk::write_all(&mut self.file, &self.path, bytes).map_err(CacheError::io("write", &self.path))
    }

    /// Gives the content its name, in a way that survives a power cut.
    pub fn publish(self, target: &Path, mode: u32) -> Result<(), CacheError> {
        self.allow(target, mode)?;
        disk::sync_file(&self.file, &self.path).map_err(CacheError::io("flush", target))?;
        self.name(target)?;
        flush_name(target)
    }

    /// Gives the content, which is flushed, its name, which is not yet.
    fn name(self, target: &Path) -> Result<(), CacheError> {
        let folder = target.parent().unwrap_or(target);
        if !disk::exists(folder) {
            self.make_folders(folder)?;
            forget_flushed(folder);
        }
        self.rename(target)
    }

    /// Gives each content its name, as [`Aside::publish`] does. What is flushed is flushed at the same time, which costs
    /// little more than flushing one. One that fails does not keep the others from their names.
    pub fn publish_all(files: Vec<(Aside, PathBuf)>, mode: u32) -> Vec<Result<(), CacheError>> {
        let allowed: Vec<_> = files.iter().map(|(aside, target)| aside.allow(target, mode)).collect();
        let flushed = disk::at_once(&files, |(aside, _)| disk::sync_file(&aside.file, &aside.path));
        let ready = files.into_iter().zip(allowed).zip(flushed);
        let named: Vec<_> = ready
            .map(|(((aside, target), allowed), flushed)| {
                let flush = || flushed.map_err(CacheError::io("flush", &target));
                allowed.and_then(|()| flush()).and_then(|()| aside.name(&target)).map(|()| target)
            })
            .collect();
        let names: Vec<&Path> = named.iter().flatten().map(PathBuf::as_path).collect();
        let mut kept = flush_names(&names).into_iter();
        named.into_iter().map(|named| named.and_then(|_| kept.next().unwrap_or(Ok(())))).collect()
    }

    /// Like [`Aside::publish`] for what may be lost in a power cut: whole or absent to every process, but not flushed.
    pub fn publish_accelerator(self, target: &Path) -> Result<(), CacheError> {
        self.allow(target, ORDINARY)?;
        if let Some(folder) = target.parent()
            && !disk::exists(folder)
        {
            self.make_folders(folder)?;
        }
        self.rename(target)
    }

    fn make_folders(&self, folder: &Path) -> Result<(), CacheError> {
        disk::make_folders_below(self.root.as_deref(), folder).map_err(CacheError::io("create", folder))
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
    flush_names(&[target]).pop().unwrap_or(Ok(()))
}

/// Does that for several files, each folder once and all at the same time. What came of it for each file.
fn flush_names(targets: &[&Path]) -> Vec<Result<(), CacheError>> {
    let needed: Vec<Vec<Needed<'_>>> = targets.iter().map(|target| to_flush(target)).collect();
    let folders: BTreeSet<&Path> = needed.iter().flatten().map(|needed| needed.folder).collect();
    let folders: Vec<&Path> = folders.into_iter().collect();
    let flushed = disk::at_once(&folders, |folder| flushed_folder(folder));
    let errors: BTreeMap<&Path, io::Error> =
        folders.into_iter().zip(flushed).filter_map(|(folder, flushed)| Some((folder, flushed.err()?))).collect();
    let mut known = FLUSHED.lock().unwrap_or_else(PoisonError::into_inner);
    let safe = needed.iter().flatten().filter(|needed| !errors.contains_key(needed.folder));
    known.extend(safe.filter_map(|needed| needed.names.map(Path::to_path_buf)));
    let error = |Needed { folder, .. }: &Needed<'_>| Some(CacheError::io("flush", folder)(alike(errors.get(folder)?)));
    needed.iter().map(|needed| needed.iter().find_map(error).map_or(Ok(()), Err)).collect()
}

/// A folder that has to be flushed for a file's name to survive.
struct Needed<'a> {
    folder: &'a Path,
    /// The folder in it whose own name survives then.
    names: Option<&'a Path>,
}

/// The file's own folder, and those above it that have names which are not known to survive.
fn to_flush(target: &Path) -> Vec<Needed<'_>> {
    let folders: Vec<&Path> = target.ancestors().skip(1).take(4).collect();
    let known = FLUSHED.lock().unwrap_or_else(PoisonError::into_inner);
    let above = folders.windows(2).filter_map(|pair| match pair {
        [names, folder] if !known.contains(*names) => Some(Needed { folder, names: Some(names) }),
        _ => None,
    });
    folders.first().map(|folder| Needed { folder, names: None }).into_iter().chain(above).collect()
}

/// The same error once more: several files may lie in a folder that could not be flushed.
fn alike(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

fn flush_folder(folder: &Path) -> Result<(), CacheError> {
    flushed_folder(folder).map_err(CacheError::io("flush", folder))
}

/// A folder above the cache that this user may not read is left to the system: it cannot be opened.
fn flushed_folder(folder: &Path) -> io::Result<()> {
    match disk::sync_folder(folder) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            tracing::debug!(path = %folder.display(), %error, "a folder was not flushed");
            Ok(())
        }
        flushed => flushed,
    }
}

fn forget_flushed(folder: &Path) {
    let mut flushed = FLUSHED.lock().unwrap_or_else(PoisonError::into_inner);
    for above in folder.ancestors() {
        flushed.remove(above);
    }
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
