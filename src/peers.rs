//! What the processes of one run tell each other, in the run's folder: that it is to stop, and which nodes have failed. Notes
//! only; who computes what is decided by claims. Knows no queue and no workers.

use crate::event::Failure;
use ddpipe_cache::{Digest, Record};
use ddpipe_interface::protocol::Cause;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The file that asks a run to stop.
pub const STOP: &str = "stop";
/// The folder of failures.
pub const FAILED: &str = "failed";
/// The folder of what pilots have begun and not ended.
pub const BEGUN: &str = "begun";
/// So often a node may be at work in a pilot that is lost.
const LOST: usize = 3;
/// The folder of what is known of pilots.
pub const PILOTS: &str = "pilots";
/// Between two looks whether the run is to stop.
const LOOK: Duration = Duration::from_millis(250);

/// The note that asks the run in this folder to stop.
pub fn stop_in(folder: &Path) -> PathBuf {
    folder.join(STOP)
}

/// The notes of one run.
#[derive(Clone, Debug)]
pub struct Peers {
    folder: PathBuf,
    role: Role,
    looked: Cell<Option<Instant>>,
    looked_for_failures: Cell<Option<Instant>>,
    /// The nodes whose end was told already, in a process that watches others, with how long they took.
    told: RefCell<HashMap<String, f64>>,
    /// What carries notes to and from the others, where they share no folder.
    carrier: Option<Carrier>,
}

/// Carries the notes of a run to and from its other processes, and returns when that is done.
#[derive(Clone)]
pub struct Carrier(pub Arc<dyn Fn()>);

impl fmt::Debug for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Carrier")
    }
}

/// Why pilots have not computed a node.
#[derive(Clone, Debug)]
pub enum Left {
    /// Another one failed.
    AfterAnother,
    /// Nobody came to it.
    ByAll(Failure),
}

/// What this process is to the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// The only one that computes it.
    Alone,
    /// One of several that compute it.
    Pilot,
    /// One that computes nothing: others do, or did.
    Watcher,
}

impl Peers {
    /// Those of the run in this folder, which this process computes alone.
    pub fn alone(folder: &Path) -> Self {
        let (looked, looked_for_failures, told) = (Cell::new(None), Cell::new(None), RefCell::default());
        Peers { folder: folder.to_path_buf(), role: Role::Alone, looked, looked_for_failures, told, carrier: None }
    }

    /// Those of the run in this folder, which this process computes with others.
    pub fn pilot(folder: &Path) -> Self {
        Peers { role: Role::Pilot, ..Peers::alone(folder) }
    }

    /// Those of the run in this folder, which others compute.
    pub fn watcher(folder: &Path) -> Self {
        Peers { role: Role::Watcher, ..Peers::alone(folder) }
    }

    /// The same of a pilot that shares no folder with the others.
    pub fn carried_by(self, carrier: Carrier) -> Self {
        Peers { carrier: Some(carrier), ..self }
    }

    fn carry(&self) {
        if let Some(Carrier(carry)) = &self.carrier {
            carry();
        }
    }

    /// The run's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Asks all processes of the run to save what they have and to stop.
    ///
    /// # Errors
    /// The note cannot be written.
    pub fn stop(&self) -> io::Result<()> {
        fs::write(self.folder.join(STOP), b"")
    }

    /// Whether the run is to stop. Looked at a few times a second, however often it is asked.
    pub fn is_stopped(&self) -> bool {
        // Who has watched others to their end has nothing left to stop.
        self.role != Role::Watcher && self.is_asked_to_stop()
    }

    /// The same for a process that watches others.
    pub fn is_asked_to_stop(&self) -> bool {
        is_due(&self.looked) && self.folder.join(STOP).exists()
    }

    /// Whether a node has failed in another process of the run. Looked at a few times a second, however often it is asked.
    pub fn has_failures(&self) -> bool {
        let are_noted = || fs::read_dir(self.folder.join(FAILED)).is_ok_and(|mut noted| noted.next().is_some());
        self.role == Role::Pilot && is_due(&self.looked_for_failures) && are_noted()
    }

    /// Notes a failure, where others may try the same node.
    pub fn failed(&self, node: &str, failure: &Failure) {
        if self.role == Role::Pilot
            && let Err(error) = self.note_failure(node, failure)
        {
            tracing::warn!(node, %error, "other pilots are not told that it failed");
        }
        // Before its claim ends: another pilot would take it.
        self.carry();
    }

    /// Notes that a node has failed, so that nobody else of this run tries it.
    ///
    /// # Errors
    /// The note cannot be written.
    pub fn note_failure(&self, node: &str, failure: &Failure) -> io::Result<()> {
        let path = self.note(node);
        let folder = self.folder.join(FAILED);
        fs::create_dir_all(&folder)?;
        let mut file = tempfile::NamedTempFile::new_in(&folder)?;
        file.write_all(&serde_json::to_vec(failure)?)?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    }

    /// Why a node has failed in another process of this run.
    pub fn failure(&self, node: &str) -> Option<Failure> {
        if self.role == Role::Alone {
            return None;
        }
        fs::read(self.note(node)).ok().and_then(|text| serde_json::from_slice(&text).ok())
    }

    /// The same of a node whose claim this process has just got: what the others have noted by now counts.
    pub fn failure_by_now(&self, node: &str) -> Option<Failure> {
        self.carry();
        self.failure(node)
    }

    /// Why a node that has not failed has no result, in a process that computes nothing; none where this process may compute
    /// it.
    pub fn left(&self) -> Option<Left> {
        (self.role == Role::Watcher).then(|| match self.folder.join(FAILED).is_dir() {
            true => Left::AfterAnother,
            false => Left::ByAll(nobody()),
        })
    }

    /// Notes that this pilot begins a node, whose claim it has. What other pilots had begun and not ended was lost with them.
    ///
    /// # Errors
    /// It was lost too often: the node is at fault.
    pub fn begin(&self, node: &str) -> Result<(), Failure> {
        if self.role != Role::Pilot {
            return Ok(());
        }
        let (folder, name) = (self.folder.join(BEGUN), short(node));
        let others = fs::read_dir(&folder).into_iter().flatten().flatten().filter(|entry| {
            let entry = entry.file_name().to_string_lossy().into_owned();
            entry.starts_with(&name) && entry != self.begun(node)
        });
        if others.count() >= LOST {
            let message = format!("the pilot that had it was lost {LOST} times");
            let hint = Some("`ddpipe runs log` has what it said".into());
            return Err(Failure { cause: Some(Cause::WorkerDied), message, hint, log: Vec::new() });
        }
        let note = || {
            fs::create_dir_all(&folder)?;
            fs::write(folder.join(self.begun(node)), b"")
        };
        if let Err(error) = note() {
            tracing::warn!(node, %error, "that it was begun is not noted");
        }
        Ok(())
    }

    /// Whether this process is one of several that compute the run.
    pub fn is_pilot(&self) -> bool {
        self.role == Role::Pilot
    }

    /// Whether a result on record was computed by pilots of this run, in a process that watches them.
    pub fn computed(&self, record: &Record) -> bool {
        let run = self.folder.file_name().and_then(|name| name.to_str());
        self.role == Role::Watcher && run.is_some() && record.provenance.run.as_deref() == run
    }

    /// Whether the end of a node, which took so many seconds, is news: what a pilot has told of it is not told again.
    pub fn is_news(&self, node: &str, seconds: f64) -> bool {
        self.role != Role::Watcher || self.told.borrow_mut().insert(node.to_string(), seconds).is_none()
    }

    /// How long a node took, as a pilot has told.
    pub fn took(&self, node: &str) -> Option<f64> {
        self.told.borrow().get(node).copied()
    }

    /// Whether this process computes nothing, and others do or did.
    pub fn is_watcher(&self) -> bool {
        self.role == Role::Watcher
    }

    /// Whether another pilot has begun a node, and neither ended nor been replaced.
    pub fn is_begun_elsewhere(&self, node: &str) -> bool {
        let (name, mine) = (short(node), self.begun(node));
        let entries = fs::read_dir(self.folder.join(BEGUN)).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.into_iter().any(|entry| entry.starts_with(&name) && entry != mine)
    }

    /// Notes that a node that this pilot had begun has ended, well or not.
    pub fn end(&self, node: &str) {
        if self.role == Role::Pilot {
            let _ = fs::remove_file(self.folder.join(BEGUN).join(self.begun(node)));
        }
    }

    fn begun(&self, node: &str) -> String {
        format!("{}-{}-{}", short(node), ddpipe_cache::host().replace('/', "_"), std::process::id())
    }

    fn note(&self, node: &str) -> PathBuf {
        self.folder.join(FAILED).join(format!("{}.json", short(node)))
    }
}

/// Whether it is time to look again; then it is noted that this was done.
fn is_due(looked: &Cell<Option<Instant>>) -> bool {
    let is_due = looked.get().is_none_or(|looked| looked.elapsed() >= LOOK);
    if is_due {
        looked.set(Some(Instant::now()));
    }
    is_due
}

/// A node in a file's name.
fn short(node: &str) -> String {
    Digest::of(node.as_bytes()).hex()[..32].to_string()
}

fn nobody() -> Failure {
    Failure {
        cause: None,
        message: "no pilot computed it".into(),
        hint: Some("the same command starts pilots again; their last words are in the run's folder `pilots`".into()),
        log: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_node_that_was_lost_with_three_pilots_is_at_fault() {
        let folder = tempfile::tempdir().unwrap();
        let pilot = Peers::pilot(folder.path());
        for lost in 0..3 {
            assert!(pilot.begin("a").is_ok(), "{lost} were lost");
            fs::write(folder.path().join(BEGUN).join(format!("{}-of another {lost}", short("a"))), b"").unwrap();
        }
        assert!(pilot.begin("a").unwrap_err().message.contains("lost 3 times"));
        assert!(pilot.begin("b").is_ok());
        pilot.end("b");
        assert!(!folder.path().join(BEGUN).join(pilot.begun("b")).exists());
        assert!(Peers::alone(folder.path()).begin("a").is_ok());
    }

    #[test]
    fn what_one_process_notes_another_reads() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (Peers::pilot(folder.path()), Peers::pilot(folder.path()));
        assert!(one.failure("a[seed=0]").is_none() && !other.is_stopped());
        assert!(matches!(Peers::watcher(folder.path()).left(), Some(Left::ByAll(_))));
        let failure = Failure { cause: None, message: "no".into(), hint: None, log: vec!["last".into()] };
        one.failed("a[seed=0]", &failure);
        assert_eq!(other.failure("a[seed=0]").unwrap().message, "no");
        assert!(other.failure("a[seed=1]").is_none());
        let watcher = Peers::watcher(folder.path());
        assert_eq!(watcher.failure("a[seed=0]").unwrap().message, "no");
        assert!(watcher.failure("a[seed=1]").is_none() && matches!(watcher.left(), Some(Left::AfterAnother)));
        assert!(one.left().is_none());
        assert!(Peers::alone(folder.path()).failure("a[seed=0]").is_none());
        one.stop().unwrap();
        assert!(Peers::pilot(folder.path()).is_stopped() && Peers::alone(folder.path()).is_stopped());
        assert!(!watcher.is_stopped() && watcher.is_asked_to_stop());
    }
}
