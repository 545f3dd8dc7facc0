//! What can go wrong with a cache. Every text names the thing, the place and the way out, and starts in lower case so
//! that it can follow "could not …". Knows no exit codes: the command chooses them.

use crate::shared::StoreError;
use crate::{Digest, Holder, Key};
use std::io;
use std::path::{Path, PathBuf};

/// A failure of the cache.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The operating system refused something.
    #[error("could not {doing} {path}: {source}", path = .path.display())]
    Io {
        /// The verb: `read`, `write`, …
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// No room, or over a quota.
    #[error(
        "no space is left for {path}\n  make room with `ddpipe cache gc --max-size SIZE`, or put the cache elsewhere \
         with `--cache DIR`",
        path = .path.display()
    )]
    Full {
        /// What was being written.
        path: PathBuf,
    },
    /// A read-only file system, or a folder of somebody else.
    #[error(
        "could not {doing} {path}: {source}\n  the cache has to be writable: correct the permissions, or put the cache \
         elsewhere with `--cache DIR`; `--cache-from` reads one that stays as it is",
        path = .path.display()
    )]
    NotWritable {
        /// The verb: `write`, `create`, …
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file system has no file locks (some network file systems are mounted without them).
    #[error(
        "the file system of {path} gives no file locks: {source}\n  put the cache on a file system that has them with \
         `--cache DIR` (NFS: mount without `nolock`), and name a folder without locks as `--remote file:///DIR`",
        path = .path.display()
    )]
    NoLocks {
        /// The lock file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A blob whose bytes are not those that its name promises. It has been set aside already.
    #[error(
        "blob {} was damaged, and is now at {}\n  run again: the stage that made it runs again", .digest.short(),
        .path.display()
    )]
    Damaged {
        /// The digest that names the blob.
        digest: Digest,
        /// The path that its bytes were moved to.
        path: PathBuf,
    },
    /// A blob that is not there.
    #[error(
        "blob {} is not in the cache: {} does not exist\n  run again: the stage that made it runs again",
        .digest.short(), .path.display()
    )]
    Missing {
        /// The digest that names the blob.
        digest: Digest,
        /// The path at which it is expected.
        path: PathBuf,
    },
    /// Content offered under a name that is not its digest.
    #[error("content offered as blob {} has the digest {}\n  it changed on its way: send it again", .expected.short(), .found.short())]
    OtherContent {
        /// The name it was offered under.
        expected: Digest,
        /// The digest of the bytes that were found.
        found: Digest,
    },
    /// A commit whose outputs are not all in the cache.
    #[error(
        "output {output:?} of {node} cannot be recorded: blob {} of {bytes} bytes is not in the cache\n  write every \
         output before the commit; if it was written, something removed it meanwhile: run again",
        .digest.short()
    )]
    OutputMissing {
        /// The node being recorded.
        node: String,
        /// The output's name.
        output: String,
        /// The promised blob.
        digest: Digest,
        /// The promised length.
        bytes: u64,
    },
    /// A commit under a claim for something else.
    #[error("a record of key {} was committed under the claim for {}: a claim gives the right to its own key only", .record.short(), .claim.short())]
    OtherKey {
        /// The record's key.
        record: Key,
        /// The claim's key.
        claim: Key,
    },
    /// The caller stopped waiting for another process.
    #[error("interrupted while waiting for {holder}, which is running the same stage")]
    Interrupted {
        /// Who holds the claim.
        holder: Holder,
    },
    /// A record of a format that this program does not know, met where ignoring it would lose data.
    #[error(
        "record {path} has format {format}, which this ddpipe does not know: a newer one uses this cache\n  collect \
         garbage with the newer ddpipe",
        path = .path.display()
    )]
    NewerRecord {
        /// The record's file.
        path: PathBuf,
        /// Its format.
        format: u64,
    },
    /// A folder that was named as a cache to read from, and is none.
    #[error("there is no cache in {path}\n  name the folder that holds `records-v1` with `--cache-from`", path = .path.display())]
    NoCache {
        /// The folder.
        path: PathBuf,
    },
    /// A remote that cannot be used, because of its name or of what is there.
    #[error("the remote {url}: {why}")]
    NoRemote {
        /// The URL as it was given.
        url: String,
        /// Why, and the way out.
        why: String,
    },
    /// A remote that did not do what it was asked for.
    #[error("the remote {url}{}\n  {way_out}", .error.behind_a_name())]
    Remote {
        /// Its URL.
        url: String,
        /// What it said.
        error: StoreError,
        /// What to do.
        way_out: &'static str,
    },
    /// A folder that holds something else.
    #[error(
        "{root} is no cache: it holds {entry}, and no CACHEDIR.TAG of ddpipe\n  name a folder that is empty or does not \
         exist with `--cache DIR`",
        root = .root.display()
    )]
    NotACache {
        /// The folder.
        root: PathBuf,
        /// One of the names in it.
        entry: String,
    },
    /// A name that another run has.
    #[error("run {run} is kept as {name:?} already\n  choose another name, or `ddpipe runs release {run}` first")]
    NameTaken {
        /// The name.
        name: String,
        /// The run that has it.
        run: String,
    },
    /// A run that is to be removed and whose process is at work.
    #[error("run {run} is at work: {holder}\n  end that process first")]
    RunAtWork {
        /// The run.
        run: String,
        /// Its process.
        holder: Holder,
    },
    /// A run that is to be removed and is kept.
    #[error("run {run} is kept\n  `ddpipe runs release {run}` gives it up, and --force removes it all the same")]
    RunKept {
        /// The run.
        run: String,
    },
    /// A file from outside that changed while it was being digested.
    #[error("{path} keeps changing while it is read\n  wait until whatever writes it has finished, then run again", path = .path.display())]
    Changing {
        /// The file.
        path: PathBuf,
    },
}

impl CacheError {
    /// Turns an I/O error at `path` into the variant with the right way out. For `map_err`.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CacheError {
        move |source| {
            let path = path.to_path_buf();
            match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => CacheError::Full { path },
                io::ErrorKind::ReadOnlyFilesystem => CacheError::NotWritable { doing, path, source },
                io::ErrorKind::PermissionDenied if doing != "read" => CacheError::NotWritable { doing, path, source },
                _ if doing == "lock" => CacheError::NoLocks { path, source },
                _ => CacheError::Io { doing, path, source },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(errno: i32) -> String {
        CacheError::io("write", Path::new("/c/blobs-v1/ab/cd"))(io::Error::from_raw_os_error(errno)).to_string()
    }

    #[test]
    fn a_full_disk_and_a_read_only_folder_name_the_path_and_the_way_out() {
        const EACCES: i32 = 13;
        const ENOSPC: i32 = 28;
        const EROFS: i32 = 30;
        for (errno, way_out) in [(ENOSPC, "cache gc --max-size"), (EROFS, "--cache DIR"), (EACCES, "permissions")] {
            let text = text(errno);
            assert!(text.contains("/c/blobs-v1/ab/cd") && text.contains(way_out), "{text}");
            assert!(text.starts_with(char::is_lowercase), "{text}");
        }
    }
}
