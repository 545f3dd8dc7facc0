//! Runs that somebody wants to keep: a file in the run's folder says so, and under which name. `gc` removes neither what
//! such a run reached nor its folder. A name belongs to one run.

use crate::aside::{Aside, ORDINARY};
use crate::claim::{Attempt, Lock};
use crate::run::RUNNING;
use crate::{Cache, CacheError, RunSeen, disk, sealed};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

const KEPT: &str = "kept.json";
/// The lock among the runs for whoever gives a name.
const NAMES: &str = "names.lock";

#[derive(Serialize, Deserialize)]
pub(crate) struct Kept {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Cache {
    /// Keeps a run, under this name if one is given. A name that it had before is replaced.
    ///
    /// # Errors
    /// [`CacheError::NameTaken`]: another run has that name. I/O errors.
    pub fn keep_run(&self, run: &RunSeen, name: Option<&str>) -> Result<(), CacheError> {
        let lock = self.layout().runs().join(NAMES);
        let _names = loop {
            match Lock::attempt(&lock)? {
                Attempt::Locked(lock) => break lock,
                Attempt::Held(_) => thread::sleep(Duration::from_millis(1)),
            }
        };
        let has_it = |other: &RunSeen| name.is_some() && other.id != run.id && other.name.as_deref() == name;
        if let (Some(name), Some(other)) = (name, self.runs()?.into_iter().find(has_it)) {
            return Err(CacheError::NameTaken { name: name.to_string(), run: other.id });
        }
        let path = run.path.join(KEPT);
        let kept = Kept { name: name.map(str::to_string) };
        let text = sealed::seal_value(&kept).map_err(|error| CacheError::io("write", &path)(error.into()))?;
        let mut aside = Aside::new(&run.path)?;
        aside.write(&text)?;
        aside.publish(&path, ORDINARY)?;
        // A collection that looked before spares what was used since.
        self.touch(&run.reached);
        Ok(())
    }

    /// Makes a kept run one like any other; whether it was kept.
    ///
    /// # Errors
    /// I/O errors.
    pub fn release_run(&self, run: &RunSeen) -> Result<bool, CacheError> {
        let path = run.path.join(KEPT);
        match disk::unlink(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(CacheError::io("remove", &path)(error)),
        }
    }

    /// Removes the folder of a run. Its results stay, but are no longer pinned by it.
    ///
    /// # Errors
    /// [`CacheError::RunAtWork`]; [`CacheError::RunKept`] unless `force`; I/O errors.
    pub fn remove_run(&self, run: &RunSeen, force: bool) -> Result<(), CacheError> {
        if read(&run.path)?.is_some() && !force {
            return Err(CacheError::RunKept { run: run.id.clone() });
        }
        match Lock::attempt(&run.path.join(RUNNING))? {
            Attempt::Held(holder) => Err(CacheError::RunAtWork { run: run.id.clone(), holder }),
            Attempt::Locked(_lock) => {
                crate::run::date_records(self.layout(), run);
                disk::remove_tree(&run.path).map_err(CacheError::io("remove", &run.path))
            }
        }
    }
}

/// What the folder of a run says about that. A file that is damaged still keeps the run, without a name.
pub(crate) fn read(run: &Path) -> Result<Option<Kept>, CacheError> {
    let path = run.join(KEPT);
    match disk::read(&path) {
        Ok(text) => Ok(Some(sealed::open_value(&text).unwrap_or(Kept { name: None }))),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(CacheError::io("read", &path)(error)),
    }
}
