//! The newest lines of logs that are longer than what the journal takes down at once, for whoever follows them and for a run
//! that is killed. Two files of bounded size in the run's folder, which are removed at its end: then the journal has the
//! last lines.

use crate::told::LIVE;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Bytes of one file before the next is begun.
const LARGEST: u64 = 1 << 20;

/// The newest log lines of a run.
pub struct LogTail {
    paths: [PathBuf; 2],
    file: Option<File>,
    bytes: u64,
}

impl LogTail {
    /// For the run of this folder; makes no file yet.
    pub fn new(folder: &Path) -> Self {
        LogTail { paths: LIVE.map(|name| folder.join(name)), file: None, bytes: 0 }
    }

    /// Writes a line at once.
    ///
    /// # Errors
    /// Those of the file.
    pub fn note(&mut self, line: &str) -> io::Result<()> {
        let [before, now] = &self.paths;
        if self.bytes > LARGEST {
            self.file = None;
            fs::rename(now, before)?;
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                self.bytes = 0;
                none.insert(File::create(now)?)
            }
        };
        self.bytes += line.len() as u64 + 1;
        file.write_all(format!("{line}\n").as_bytes())
    }

    /// Removes the files.
    pub fn over(&mut self) {
        self.file = None;
        for path in &self.paths {
            let _ = fs::remove_file(path);
        }
    }
}
