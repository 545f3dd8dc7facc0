//! The newest lines of logs that are longer than what the journal takes down at once, for whoever follows them and for a run
//! that is killed. Two files of bounded size in the run's folder, which are removed at its end: then the journal has the
//! last lines.

use crate::told::LIVE;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Bytes of one file before the next is begun.
const LARGEST: u64 = 1 << 20;

/// So many lines of a second are written at once; the rest of a flood a thousand at a time.
const AT_ONCE: u32 = 1000;

/// The newest log lines of a run.
pub struct LogTail {
    paths: [PathBuf; 2],
    file: Option<BufWriter<File>>,
    bytes: u64,
    second: Instant,
    lines: u32,
}

impl LogTail {
    /// For the run of this folder; makes no file yet.
    pub fn new(folder: &Path) -> Self {
        let paths = LIVE.map(|name| folder.join(name));
        LogTail { paths, file: None, bytes: 0, second: Instant::now(), lines: 0 }
    }

    /// Writes a line, at once unless there are very many.
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
                none.insert(BufWriter::new(File::create(now)?))
            }
        };
        self.bytes += line.len() as u64 + 1;
        file.write_all(format!("{line}\n").as_bytes())?;
        if self.second.elapsed() >= Duration::from_secs(1) {
            (self.second, self.lines) = (Instant::now(), 0);
        }
        self.lines = self.lines.saturating_add(1);
        if self.lines < AT_ONCE || self.lines.is_multiple_of(AT_ONCE) { file.flush() } else { Ok(()) }
    }

    /// Removes the files.
    pub fn over(&mut self) {
        self.file = None;
        for path in &self.paths {
            let _ = fs::remove_file(path);
        }
    }
}
