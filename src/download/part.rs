//! The file in which the bytes of a download collect until they are whole. One process at a time writes it.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// A `.part`, and the right to write it.
pub struct Part {
    path: PathBuf,
    file: File,
}

impl Part {
    /// Takes the right to write the `.part` of this file, waiting for another process that downloads the same file;
    /// nothing where that one has brought it.
    pub fn take(to: &Path) -> Result<Option<Self>, String> {
        let path = part_of(to);
        let wrong = |error: std::io::Error| format!("could not write {}: {error}", path.display());
        loop {
            // A link that lies there would be followed to wherever it leads, and a pipe would wait for a reader.
            let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
            let file = OpenOptions::new().append(true).create(true).custom_flags(flags).open(&path);
            let file = file.map_err(|error| match path.is_symlink() {
                true => format!("could not write {}: it is a link; remove it", path.display()),
                false => wrong(error),
            })?;
            file.lock().map_err(wrong)?;
            let metadata = file.metadata().map_err(wrong)?;
            let named = fs::symlink_metadata(&path).ok().map(|metadata| metadata.ino());
            let ours = named == Some(metadata.ino());
            if to.is_file() {
                // What is locked may be a new and empty one, or the very file that has its name by now.
                if ours {
                    let _ = fs::remove_file(&path);
                }
                return Ok(None);
            }
            if ours && !metadata.is_file() {
                return Err(format!("could not write {}: it is not a file; remove it", path.display()));
            }
            if ours {
                return Ok(Some(Part { path, file }));
            }
        }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many bytes it has.
    pub fn len(&self) -> Result<u64, String> {
        self.file.metadata().map(|metadata| metadata.len()).map_err(|error| self.wrong(&error))
    }

    /// Takes all bytes out.
    pub fn empty(&mut self) -> Result<(), String> {
        self.file.set_len(0).map_err(|error| self.wrong(&error))
    }

    /// Adds bytes at its end.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.file.write_all(bytes).map_err(|error| self.wrong(&error))
    }

    /// Waits until the bytes are on the disk.
    pub fn sync(&self) -> Result<(), String> {
        self.file.sync_all().map_err(|error| self.wrong(&error))
    }

    /// Gives it the name of the file that it has become. A link of that name is replaced, not followed.
    pub fn finish(self, to: &Path) -> Result<(), String> {
        fs::rename(&self.path, to)
            .map_err(|error| format!("could not move {} into place: {error}", self.path.display()))
    }

    /// Removes it where nothing is in it.
    pub fn give_up(self) {
        if self.len().is_ok_and(|length| length == 0) {
            let _ = fs::remove_file(&self.path);
        }
    }

    fn wrong(&self, error: &std::io::Error) -> String {
        format!("{}: {error}", self.path.display())
    }
}

fn part_of(to: &Path) -> PathBuf {
    let mut name = to.file_name().unwrap_or_default().to_os_string();
    name.push(".part");
    to.with_file_name(name)
}
