//! The programs that the user has accepted: pairs of a stage kind and the digest of its folder. A program that changed, or
//! another one of the same name, is new. The list belongs to the user and lies outside every project.

use crate::exit::Fault;
use ddpipe_cache::Digest;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// What the user has accepted so far.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Allowed(BTreeMap<String, BTreeSet<Digest>>);

impl Allowed {
    /// Reads the user's list; an absent one is empty.
    ///
    /// # Errors
    /// The file cannot be read, or it is not such a list.
    pub fn read(path: &Path) -> Result<Self, Fault> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Allowed::default()),
            Err(error) => return Err(Fault::io("read", path, &error)),
        };
        let wrong = |error| Fault::usage(format!("{}: not a list of accepted programs: {error}", path.display()));
        serde_json::from_slice(&text).map_err(wrong)
    }

    /// Writes the list.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), Fault> {
        let failed = |error: std::io::Error| Fault::io("write", path, &error);
        let folder = path.parent().unwrap_or(path);
        fs::create_dir_all(folder).map_err(failed)?;
        let file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        serde_json::to_writer_pretty(&file, self).map_err(|error| failed(error.into()))?;
        file.persist(path).map_err(|error| failed(error.error))?;
        Ok(())
    }

    /// Whether the user has accepted the program of this kind, as its folder is now.
    pub fn contains(&self, kind: &str, folder: Digest) -> bool {
        self.0.get(kind).is_some_and(|folders| folders.contains(&folder))
    }

    /// Accepts the program of a kind, as its folder is now.
    pub fn accept(&mut self, kind: &str, folder: Digest) {
        self.0.entry(kind.to_string()).or_default().insert(folder);
    }
}

/// Where the user's list lies: `ddpipe/allowed.json` in `$XDG_STATE_HOME`, or in `~/.local/state`.
///
/// # Errors
/// Neither variable is set.
pub fn file() -> Result<PathBuf, Fault> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    let state = state.ok_or_else(|| {
        Fault::usage("accepted programs are kept in $XDG_STATE_HOME or ~/.local/state, and neither XDG_STATE_HOME nor HOME is set")
    })?;
    Ok(state.join("ddpipe/allowed.json"))
}
