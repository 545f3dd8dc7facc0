//! `run.json`: which run left what in a results folder. It tells files that ddpipe wrote from a person's own, and results
//! of the last run from those of earlier ones.

use super::file;
use crate::exit::Fault;
use ddpipe_cache::{Digest, Key};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The name of the file in the results folder.
pub const RUN_FILE: &str = "run.json";

/// What a results folder says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// The version of ddpipe that wrote it.
    pub ddpipe: String,
    /// The last run: the name of its folder in the cache's `runs/`.
    pub run: String,
    /// Whether that run renewed everything that the pipeline leaves here.
    pub complete: bool,
    /// How the last run was called that made or confirmed any of the files.
    #[serde(flatten)]
    pub called: Called,
    /// The nodes whose files that run did not renew, and why.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub lacking: IndexMap<String, String>,
    /// The files, by their path below the folder.
    pub files: IndexMap<String, FileAccount>,
}

/// How a run was called: what decides on the meaning of its results, besides the manifest's text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Called {
    /// The manifest's file.
    pub manifest: PathBuf,
    /// `--profile`, in order.
    #[serde(default)]
    pub profile: Vec<String>,
    /// `--set`, in order, and variables of the environment.
    #[serde(default)]
    pub set: Vec<String>,
    /// `--select`.
    #[serde(default)]
    pub select: Vec<String>,
    /// The cache's folder, which has the records that `key` names.
    #[serde(default)]
    pub cache: PathBuf,
}

/// Where one file comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileAccount {
    /// The node that made it.
    pub node: String,
    /// The node's output.
    pub output: String,
    /// The key of the node's record.
    pub key: Key,
    /// BLAKE3 of the output's bytes, which name it in the cache.
    pub output_digest: Digest,
    /// BLAKE3 of the file's bytes: the output's, with the words that lead back from it where its format has room for them.
    pub digest: Digest,
    /// The last run that made or confirmed it; an earlier one than the folder's where the last run did not.
    pub run: String,
    /// The run that wrote it.
    pub written_by: String,
}

impl Called {
    /// Whether two runs mean the same by the names of their results.
    pub fn is_like(&self, other: &Called) -> bool {
        self.manifest == other.manifest && self.profile == other.profile && self.set == other.set
    }

    /// In words, for a warning.
    pub fn describe(&self) -> String {
        let options = |name: &'static str, values: &[String]| {
            values.iter().map(|value| format!(" {name} {value}")).collect::<String>()
        };
        format!("{}{}{}", self.manifest.display(), options("--profile", &self.profile), options("--set", &self.set))
    }
}

impl Account {
    /// The file of an earlier run that is the same output of the same record, with its bytes, if it still lies in the
    /// folder as it was written. Such a file stays, so that results under version control change only when they differ.
    pub fn unchanged(
        &self,
        folder: &Path,
        name: &str,
        key: Key,
        output_digest: Digest,
    ) -> Option<(&FileAccount, Vec<u8>)> {
        let file = self.files.get(name).filter(|file| file.key == key && file.output_digest == output_digest)?;
        let bytes = std::fs::read(folder.join(name)).ok()?;
        (Digest::of(&bytes) == file.digest).then_some((file, bytes))
    }

    /// The files that it names and that lie in its folder.
    pub fn there(&self, folder: &Path) -> impl Iterator<Item = (&String, &FileAccount)> {
        self.files.iter().filter(|(name, _)| folder.join(name).is_file())
    }

    /// What a folder says; none where it says nothing that can be read.
    pub fn read(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(folder.join(RUN_FILE)).ok()?).ok()
    }

    /// Writes it into a folder.
    pub fn write(&self, folder: &Path) -> Result<(), Fault> {
        let mut text = serde_json::to_vec_pretty(self)
            .map_err(|error| Fault::io("write", &folder.join(RUN_FILE), &error.into()))?;
        text.push(b'\n');
        file::put(&folder.join(RUN_FILE), &text)
    }
}
