//! The lines of a file that grows. Knows not what they say.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// A file that grows, or is begun anew.
pub struct Tail {
    path: PathBuf,
    at: u64,
    rest: Vec<u8>,
}

impl Tail {
    /// From its begin.
    pub fn of(path: &Path) -> Self {
        Tail { path: path.to_path_buf(), at: 0, rest: Vec::new() }
    }

    /// The lines that are complete by now and were not given before; none of a file that cannot be read.
    pub fn lines(&mut self) -> Vec<String> {
        let Ok(mut file) = File::open(&self.path) else { return Vec::new() };
        if file.metadata().is_ok_and(|seen| seen.len() < self.at) {
            (self.at, self.rest) = (0, Vec::new());
        }
        let mut read = Vec::new();
        if file.seek(SeekFrom::Start(self.at)).is_err() || file.read_to_end(&mut read).is_err() {
            return Vec::new();
        }
        self.at += read.len() as u64;
        self.rest.extend(read);
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else { return Vec::new() };
        let rest = self.rest.split_off(end + 1);
        let whole = std::mem::replace(&mut self.rest, rest);
        String::from_utf8_lossy(&whole).lines().map(str::to_string).collect()
    }
}
