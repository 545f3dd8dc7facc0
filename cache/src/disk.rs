//! Every operation by which the cache reads or changes its folder, one thin function each. In tests each of them is told
//! to an observer, which may record it or let it fail (`harness/watch.rs`); in other builds nothing is left of that. Knows
//! paths and bytes only.

use nix::sys::stat::futimens;
use nix::sys::time::TimeSpec;
use std::fs::{self, File, Metadata, OpenOptions, Permissions, ReadDir, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::SystemTime;

/// What is about to be done, for an observer. Open files are named by the path that they were opened under.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "only tests read them, and of some operations not the path")]
pub(crate) enum Op<'a> {
    /// A file is made, or opened for writing.
    Create(&'a Path),
    /// A file is opened for reading.
    Open(&'a Path),
    Read(&'a Path),
    /// Names in a folder, or what is known of a path, are asked for.
    Look(&'a Path),
    /// Bytes are added to the end of a file.
    Write(&'a Path, &'a [u8]),
    /// A file's content is replaced in place.
    Rewrite(&'a Path, &'a [u8]),
    SyncFile(&'a Path),
    SyncFolder(&'a Path),
    Rename(&'a Path, &'a Path),
    MakeFolder(&'a Path),
    Unlink(&'a Path),
    /// A folder and everything below it is removed.
    RemoveTree(&'a Path),
    Lock(&'a Path),
    /// A file's mode or times are set.
    Attributes(&'a Path),
}

#[cfg(test)]
use crate::harness::watch::on;

/// Does it. In tests the function of this name in the harness stands here instead.
#[cfg(not(test))]
#[inline(always)]
fn on<T>(_: Op<'_>, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    act()
}

/// A new file that only this user may read and write; an error where the name exists.
pub(crate) fn create_new(path: &Path) -> io::Result<File> {
    on(Op::Create(path), || OpenOptions::new().write(true).create_new(true).mode(0o600).open(path))
}

/// A file to lock, made if there is none.
pub(crate) fn open_or_create(path: &Path) -> io::Result<File> {
    on(Op::Create(path), || OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path))
}

pub(crate) fn open(path: &Path) -> io::Result<File> {
    on(Op::Open(path), || File::open(path))
}

/// All bytes of a file.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    read_to_end(&mut open(path)?, path, &mut bytes)?;
    Ok(bytes)
}

pub(crate) fn read_to_end(file: &mut File, path: &Path, bytes: &mut Vec<u8>) -> io::Result<usize> {
    on(Op::Read(path), || file.read_to_end(bytes))
}

/// The next bytes of a file; none at its end.
pub(crate) fn read_some(file: &mut File, path: &Path, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match on(Op::Read(path), || file.read(buffer)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

pub(crate) fn write_all(file: &mut File, path: &Path, bytes: &[u8]) -> io::Result<()> {
    on(Op::Write(path, bytes), || file.write_all(bytes))
}

/// Replaces a file's content in place, for what may be torn.
pub(crate) fn rewrite(file: &mut File, path: &Path, bytes: &[u8]) -> io::Result<()> {
    on(Op::Rewrite(path, bytes), || {
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(bytes)
    })
}

pub(crate) fn sync_file(file: &File, path: &Path) -> io::Result<()> {
    on(Op::SyncFile(path), || file.sync_all())
}

/// Makes the names in a folder survive a power cut.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    on(Op::SyncFolder(path), || File::open(path)?.sync_all())
}

/// So many flushes are asked for at the same time.
#[cfg(not(test))]
const AT_ONCE: usize = 16;

/// Does something with each of many files or folders that takes the disk's time, as flushing does: at the same time, so
/// that the file system can do all of it in one go. In tests one after the other, for the observer.
pub(crate) fn at_once<T: Sync>(items: &[T], act: impl Fn(&T) -> io::Result<()> + Sync) -> Vec<io::Result<()>> {
    #[cfg(not(test))]
    if items.len() > 1 {
        let (share, act) = (items.len().div_ceil(AT_ONCE), &act);
        return std::thread::scope(|scope| {
            let parts = items.chunks(share).map(|part| scope.spawn(move || part.iter().map(act).collect::<Vec<_>>()));
            let parts: Vec<_> = parts.collect();
            parts.into_iter().zip(items.chunks(share)).flat_map(|(part, items)| joined(part, items.len())).collect()
        });
    }
    items.iter().map(act).collect()
}

/// What a thread has come to; a panic is a failure of all its items.
#[cfg(not(test))]
fn joined(part: std::thread::ScopedJoinHandle<'_, Vec<io::Result<()>>>, items: usize) -> Vec<io::Result<()>> {
    let failed = |_| (0..items).map(|_| Err(io::Error::other("a panic while flushing"))).collect();
    part.join().unwrap_or_else(failed)
}

pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    on(Op::Rename(from, to), || fs::rename(from, to))
}

/// A copy under another name, for a move between file systems.
pub(crate) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    on(Op::Create(to), || fs::copy(from, to).map(drop))
}

pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    on(Op::MakeFolder(path), || fs::create_dir(path))
}

/// Makes a folder and those above it that are missing.
pub(crate) fn make_folders(path: &Path) -> io::Result<()> {
    make_folders_below(None, path)
}

/// Makes a folder and those above it that are missing, as far as they are below `root`: that one has to be there.
pub(crate) fn make_folders_below(root: Option<&Path>, path: &Path) -> io::Result<()> {
    if root == Some(path) {
        return look(path).map(drop);
    }
    match make_folder(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_folders_below(root, path.parent().ok_or(error)?)?;
            make_folder(path).or_else(|error| if path.is_dir() { Ok(()) } else { Err(error) })
        }
        Err(_) if path.is_dir() => Ok(()),
        made => made,
    }
}

pub(crate) fn unlink(path: &Path) -> io::Result<()> {
    on(Op::Unlink(path), || fs::remove_file(path))
}

pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    on(Op::RemoveTree(path), || fs::remove_dir_all(path))
}

/// Locks a file without waiting; whether it could.
pub(crate) fn try_lock(file: &File, path: &Path) -> io::Result<bool> {
    on(Op::Lock(path), || locked(file.try_lock()))
}

/// Locks a file beside other onlookers, without waiting; whether it could.
pub(crate) fn try_lock_shared(file: &File, path: &Path) -> io::Result<bool> {
    on(Op::Lock(path), || locked(file.try_lock_shared()))
}

fn locked(outcome: Result<(), TryLockError>) -> io::Result<bool> {
    match outcome {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

pub(crate) fn unlock(file: &File, path: &Path) -> io::Result<()> {
    on(Op::Lock(path), || file.unlock())
}

pub(crate) fn set_mode(file: &File, path: &Path, mode: u32) -> io::Result<()> {
    on(Op::Attributes(path), || file.set_permissions(Permissions::from_mode(mode)))
}

/// Sets both times to now. "Now" needs the right to write, not the ownership that another time would need.
pub(crate) fn touch(path: &Path) -> io::Result<()> {
    let file = open(path)?;
    on(Op::Attributes(path), || Ok(futimens(&file, &TimeSpec::UTIME_NOW, &TimeSpec::UTIME_NOW)?))
}

/// Adds bytes to the end of a file, which is made if there is none.
pub(crate) fn append(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = on(Op::Create(path), || OpenOptions::new().append(true).create(true).open(path))?;
    write_all(&mut file, path, bytes)
}

/// Sets the time of the last change. A time other than now needs the file's ownership.
pub(crate) fn date(path: &Path, time: SystemTime) -> io::Result<()> {
    let file = open(path)?;
    on(Op::Attributes(path), || file.set_modified(time))
}

/// Sets the time of the last change to now.
pub(crate) fn renew(path: &Path) -> io::Result<()> {
    let file = open(path)?;
    on(Op::Attributes(path), || file.set_modified(SystemTime::now()))
}

pub(crate) fn look(path: &Path) -> io::Result<Metadata> {
    on(Op::Look(path), || fs::metadata(path))
}

/// Like [`look`], but of a link itself.
pub(crate) fn look_at_link(path: &Path) -> io::Result<Metadata> {
    on(Op::Look(path), || fs::symlink_metadata(path))
}

pub(crate) fn look_at_open(file: &File, path: &Path) -> io::Result<Metadata> {
    on(Op::Look(path), || file.metadata())
}

/// Whether the name is there, as far as one can tell.
pub(crate) fn exists(path: &Path) -> bool {
    look(path).is_ok()
}

pub(crate) fn list(folder: &Path) -> io::Result<ReadDir> {
    on(Op::Look(folder), || fs::read_dir(folder))
}
