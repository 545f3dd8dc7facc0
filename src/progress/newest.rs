//! The newest progress of every stage at work, for whoever watches a run from elsewhere: a small file in the run's folder,
//! which a thread of its own writes anew at most once a second, and which goes at the end. A run without progress has none.

use crate::told::PROGRESS;
use indexmap::IndexMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Between two writings.
const PAUSE: Duration = Duration::from_secs(1);

/// Keeps the newest line of everything that makes progress.
pub struct Newest {
    path: PathBuf,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lines: IndexMap<String, String>,
    changed: bool,
    over: bool,
}

impl Newest {
    /// For the run of this folder; makes no file yet.
    pub fn new(folder: &Path) -> Self {
        Newest { path: folder.join(PROGRESS), shared: Arc::default(), thread: None }
    }

    /// The newest line of a node or a file.
    pub fn note(&mut self, of: &str, line: String) {
        let mut state = self.shared.lock();
        state.lines.insert(of.to_string(), line);
        state.changed = true;
        drop(state);
        self.shared.changed.notify_all();
        if self.thread.is_none() {
            let (shared, path) = (self.shared.clone(), self.path.clone());
            self.thread = Some(std::thread::spawn(move || shared.write(&path)));
        }
    }

    /// It makes no more progress.
    pub fn forget(&mut self, of: &str) {
        let mut state = self.shared.lock();
        state.changed |= state.lines.shift_remove(of).is_some();
        drop(state);
        self.shared.changed.notify_all();
    }
}

impl Drop for Newest {
    fn drop(&mut self) {
        self.shared.lock().over = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, path: &Path) {
        let aside = path.with_extension("new");
        loop {
            let idle = |state: &mut State| !state.changed && !state.over;
            let mut state = self.changed.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
            if state.over {
                return;
            }
            state.changed = false;
            let text: String = state.lines.values().map(|line| format!("{line}\n")).collect();
            drop(state);
            // Whole or not at all: it is read at any time.
            if let Err(error) = fs::write(&aside, text).and_then(|()| fs::rename(&aside, path)) {
                tracing::debug!("{}: {error}", path.display());
            }
            let wait = self.changed.wait_timeout_while(self.lock(), PAUSE, |state| !state.over);
            drop(wait.unwrap_or_else(PoisonError::into_inner));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_newest_lines_are_in_the_file_until_the_end() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join(PROGRESS);
        let mut newest = Newest::new(temp.path());
        newest.note("a", "1".into());
        newest.note("b", "2".into());
        newest.note("a", "3".into());
        let until = |wanted: &str| {
            while fs::read_to_string(&path).unwrap_or_default() != wanted {
                std::thread::sleep(Duration::from_millis(2));
            }
        };
        until("3\n2\n");
        newest.forget("a");
        until("2\n");
        drop(newest);
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 0);
    }
}
