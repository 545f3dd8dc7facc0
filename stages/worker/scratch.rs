//! The lock on a stage's scratch folder. The engine's claim ends with the engine; a worker or a program of it may live on
//! for a while. So who works in the folder holds this lock, and hands it on to the program that it starts: the next one
//! waits until all of them are gone.

use crate::context::Context;
use anyhow::{Context as _, Result};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

/// Between two attempts at a lock that another process holds.
const POLL: Duration = Duration::from_millis(50);

/// The right to work in a scratch folder, until it is dropped and every program that inherited it has ended.
#[derive(Debug)]
pub struct ScratchLock(File);

impl ScratchLock {
    /// Locks the scratch folder of a stage, waiting for a worker or a program of an earlier run that still works there.
    ///
    /// # Errors
    /// The stage was asked to stop while it waited; I/O errors.
    pub fn take(scratch: &Path, ctx: &Context) -> Result<Self> {
        let path = scratch.join("lock");
        let failed = || format!("could not lock {}", path.display());
        let mut told = false;
        loop {
            fs::create_dir_all(scratch).with_context(failed)?;
            let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
            let mut file = open.with_context(failed)?;
            match file.try_lock() {
                Ok(()) if same(&file, &path) => {
                    let signed = file.set_len(0).and_then(|()| file.rewind());
                    let signed = signed.and_then(|()| write!(file, "{}", std::process::id()));
                    if let Err(error) = signed {
                        tracing::debug!(%error, "the holder of the scratch folder was not noted");
                    }
                    return Ok(ScratchLock(file));
                }
                // The last holder's engine removed the folder between our opening and our locking it.
                Ok(()) => continue,
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error).with_context(failed),
            }
            if !told {
                told = true;
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                let holder = holder.trim();
                ctx.warn(format!(
                    "waits for process {holder} of an earlier run, or a program of it, which still works on this stage"
                ));
            }
            ctx.check()?;
            std::thread::sleep(POLL);
        }
    }

    /// The open file, for a program that is to inherit the lock.
    pub fn file(&self) -> &File {
        &self.0
    }
}

/// Whether the path still names this open file.
fn same(file: &File, path: &Path) -> bool {
    let (Ok(ours), Ok(named)) = (file.metadata(), fs::metadata(path)) else { return false };
    ours.ino() == named.ino() && ours.dev() == named.dev()
}
