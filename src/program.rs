//! The programs of a project's own kinds, as they are when a run is planned: what enters the key of their stages, and what
//! a worker compares before and after it runs one.

use crate::catalog::{Catalog, Kind};
use crate::exit::Fault;
use ddpipe_cache::{Cache, Digest, folder};
use ddpipe_interface::protocol::Command;
use indexmap::IndexMap;
use std::path::{Path, PathBuf};

/// The program of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The argument list.
    pub argv: Vec<String>,
    /// The folder of the kind.
    pub folder: PathBuf,
    /// The digest of the folder: of the declaration, the scripts and all other files, hidden ones and `__pycache__` apart.
    pub digest: Digest,
    /// The files that arguments name, with their digests: scripts, and the program on the path.
    pub files: Vec<(String, PathBuf, Digest)>,
    /// The environment variables that the declaration names, with their values where they are set.
    pub env: Vec<(String, Option<String>)>,
}

impl Program {
    /// The program of a kind with a `command`, with all digests; none for a built-in kind.
    ///
    /// # Errors
    /// A file of the folder cannot be read.
    pub fn of(kind: &Kind, cache: &Cache) -> Result<Option<Self>, Fault> {
        let (Some(argv), Some(folder)) = (&kind.declaration.command, &kind.folder) else { return Ok(None) };
        let stats = cache.stat_cache();
        let mut files = Vec::new();
        for (index, argument) in argv.iter().enumerate() {
            if let Some(path) = file_named(argument, folder, index == 0) {
                let digest = stats.digest_of(&path, &[])?.digest;
                files.push((argument.clone(), path, digest));
            }
        }
        let value =
            |name: &String| (name.clone(), std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()));
        Ok(Some(Program {
            argv: argv.clone(),
            folder: folder.clone(),
            digest: folder::program(folder)?,
            files,
            env: kind.declaration.env.iter().map(value).collect(),
        }))
    }

    /// The programs of all kinds that have one, by kind.
    ///
    /// # Errors
    /// As [`Program::of`].
    pub fn all(catalog: &Catalog, cache: &Cache) -> Result<IndexMap<String, Self>, Fault> {
        let mut programs = IndexMap::new();
        for (name, kind) in catalog.iter() {
            if let Some(program) = Program::of(kind, cache)? {
                programs.insert(name.to_string(), program);
            }
        }
        Ok(programs)
    }

    /// What enters the key, by name and value. Of a variable it is the digest of its value: records are for everybody.
    pub fn described(&self) -> Vec<(String, String)> {
        let mut entries = vec![("command".to_string(), serde_json::json!(self.argv).to_string())];
        entries.extend(self.files.iter().map(|(argument, _, digest)| (format!("program {argument}"), digest.hex())));
        entries.push(("program its folder".to_string(), self.digest.hex()));
        for (name, value) in &self.env {
            let value = value.as_ref().map_or("unset".to_string(), |value| Digest::of(value.as_bytes()).hex());
            entries.push((format!("env {name}"), value));
        }
        entries
    }

    /// The program as a worker is told of it.
    pub fn command(&self) -> Command {
        let outside = self.files.iter().filter(|(_, path, _)| !path.starts_with(&self.folder));
        let set = self.env.iter().filter_map(|(name, value)| Some((name.clone(), value.clone()?)));
        Command {
            argv: self.argv.clone(),
            folder: self.folder.clone(),
            digest: self.digest,
            files: outside.map(|(_, path, digest)| (path.clone(), *digest)).collect(),
            env: set.collect(),
        }
    }
}

/// The file that a command's argument names: below the kind's folder, or, for the program itself, on the path.
fn file_named(argument: &str, folder: &Path, program: bool) -> Option<PathBuf> {
    if !program || argument.contains('/') {
        return Some(folder.join(argument)).filter(|path| path.is_file());
    }
    // As the worker does.
    on_path(argument)
}

/// The program that a bare name is, among the folders of the path.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let paths = std::env::var_os("PATH")?;
    std::env::split_paths(&paths).map(|folder| folder.join(name)).find(|path| path.is_file())
}
