//! Where a worker finds the engine: a listening socket whose name is gone from the file system as soon as it is bound.
//! The worker reaches it through the engine's own open file, `/proc/<engine>/fd/<n>`. So nothing is left behind however
//! either of them ends, the name is always short enough for a socket, and neither side needs a folder for temporary files.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// `O_PATH`: a file is held open without being opened for reading, which sockets do not allow.
const O_PATH: i32 = nix::fcntl::OFlag::O_PATH.bits();

/// A listening socket without a name.
pub struct Rendezvous {
    /// Accepts the worker; does not block.
    pub listener: UnixListener,
    /// Keeps the socket reachable for as long as a worker may still connect.
    socket: OwnedFd,
}

impl Rendezvous {
    /// Binds a socket in the first of these folders that allows it, and removes its name again.
    ///
    /// # Errors
    /// Of the first folder, when none of them allows it.
    pub fn open(folders: &[PathBuf], name: &str) -> io::Result<Self> {
        let mut first = None;
        for folder in folders {
            match bind(folder, name) {
                Ok(bound) => return Ok(bound),
                Err(error) => {
                    let text = format!("{}: {error}", folder.display());
                    _ = first.get_or_insert(io::Error::new(error.kind(), text));
                }
            }
        }
        Err(first.unwrap_or_else(|| io::Error::other("there is no folder for it")))
    }

    /// The path that a process of the same user connects to.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), self.socket.as_raw_fd()))
    }
}

fn bind(folder: &Path, name: &str) -> io::Result<Rendezvous> {
    let held = |path: &Path| File::options().read(true).custom_flags(O_PATH).open(path);
    let folder = held(folder)?;
    // By way of the open folder, since the name of a socket may have 107 bytes only.
    let path = PathBuf::from(format!("/proc/self/fd/{}/{name}", folder.as_raw_fd()));
    let listener = UnixListener::bind(&path)?;
    let socket = held(&path);
    std::fs::remove_file(&path)?;
    listener.set_nonblocking(true)?;
    Ok(Rendezvous { listener, socket: socket?.into() })
}

/// Folders in which a socket can be bound, best first: the cache's, which has to be writable anyhow, then those that
/// are in memory.
pub fn folders(cache: &Path) -> Vec<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let others = ["/dev/shm", "/tmp"].map(PathBuf::from);
    [cache.to_path_buf()].into_iter().chain(runtime).chain(others).chain([std::env::temp_dir()]).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_socket_without_a_name_is_reached_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let long = folder.path().join("long".repeat(50));
        std::fs::create_dir(&long).unwrap();
        let met = Rendezvous::open(&[folder.path().join("none"), long.clone()], "x.sock").unwrap();
        assert_eq!(std::fs::read_dir(&long).unwrap().count(), 0);
        assert!(met.path().as_os_str().len() < 60);
        let _there = UnixStream::connect(met.path()).unwrap();
        met.listener.accept().unwrap();
    }

    #[test]
    fn the_first_folder_is_named_when_none_allows_it() {
        let none = [PathBuf::from("/nowhere/at/all"), PathBuf::from("/proc")];
        let error = Rendezvous::open(&none, "x.sock").err().unwrap();
        assert!(error.to_string().starts_with("/nowhere/at/all: "), "{error}");
    }
}
