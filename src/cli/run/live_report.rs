//! `--report`: the page of a run, written anew every few seconds while it goes on and once more at its end, on a thread of its
//! own: the run waits for it only at the end.

use crate::cli::project::Project;
use crate::cli::subject;
use crate::exit::Fault;
use crate::history::{self, Past};
use crate::report;
use crate::results::write_whole;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between two pages, at least.
const PAUSE: Duration = Duration::from_secs(5);
/// A page is made at most this part of the time.
const SHARE: u32 = 20;

/// The page of a run that goes on.
pub struct LiveReport {
    file: PathBuf,
    project: &'static Project,
    run: String,
    end: Sender<()>,
    thread: JoinHandle<()>,
}

impl LiveReport {
    /// Begins to write it.
    pub fn begin(file: &Path, project: &'static Project, run: &str) -> Self {
        let (end, ended) = channel();
        let (to, id) = (file.to_path_buf(), run.to_string());
        let thread = std::thread::spawn(move || {
            let mut pause = PAUSE;
            while ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                let begun = Instant::now();
                if let Err(fault) = write(&to, project, &id) {
                    // The page at the end tells whether it can be written.
                    tracing::debug!(%fault, "the report was not written");
                }
                pause = PAUSE.max(begun.elapsed() * SHARE);
            }
        });
        LiveReport { file: file.to_path_buf(), project, run: run.to_string(), end, thread }
    }

    /// Writes it for the last time: the run has noted its end.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn finish(self) -> Result<(), Fault> {
        drop(self.end);
        let _ = self.thread.join();
        write(&self.file, self.project, &self.run)
    }
}

fn write(file: &Path, project: &Project, run: &str) -> Result<(), Fault> {
    let past = Past::of(history::find(&project.cache, run)?);
    write_whole(file, report::page(&subject::of_own(project, past)).as_bytes())
}
