//! Everything that planning a run needs, as one text: what a pilot without a shared folder starts from. No time, no id of a run
//! and no path of this machine is in it, so that the same command has the same digest.

use crate::exit::Fault;
use ddpipe_cache::{Commit, Digest};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::path::{Component, Path};

/// The version of its form.
const FORMAT: u32 = 1;

/// What a run is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    format: u32,
    /// The version of ddpipe.
    ddpipe: String,
    /// The digest of the declarations of all built-in kinds.
    kinds: Digest,
    /// The manifest's file, below the project's folder.
    pub manifest: String,
    /// `--profile`, in order.
    pub profile: Vec<String>,
    /// `--set`, in order, as paths and values.
    pub sets: Vec<(String, String)>,
    /// The environment variables that change the manifest.
    pub env: Vec<(String, String)>,
    /// `--select`, in order.
    pub select: Vec<String>,
    /// The state of the project's git repository.
    pub commit: Option<Commit>,
    /// The texts of the manifest and of all that it includes, by path below the project's folder.
    pub texts: IndexMap<String, String>,
    /// The files of the project's own kinds, below the project's folder.
    pub own: Vec<File>,
    /// The files of each source, below the source's folder.
    pub sources: IndexMap<String, Vec<File>>,
    /// Whose records are believed; none where nothing is signed.
    pub trust: Option<Trust>,
}

/// A file that lies in the remote as a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Its path, `/` between the parts.
    pub path: String,
    /// What it holds.
    pub digest: Digest,
    /// Its length.
    pub bytes: u64,
    /// Whether it is a program.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub executable: bool,
}

/// Whose records the run believes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trust {
    /// Their public keys.
    pub keys: Vec<String>,
    /// Whether records have to be signed.
    pub required: bool,
}

impl Spec {
    /// One of this ddpipe, with these built-in kinds, for the manifest at this path.
    pub fn new(kinds: Digest, manifest: String) -> Self {
        Spec {
            format: FORMAT,
            ddpipe: env!("CARGO_PKG_VERSION").into(),
            kinds,
            manifest,
            profile: Vec::new(),
            sets: Vec::new(),
            env: Vec::new(),
            select: Vec::new(),
            commit: None,
            texts: IndexMap::new(),
            own: Vec::new(),
            sources: IndexMap::new(),
            trust: None,
        }
    }

    /// Its text, whose digest names it.
    pub fn text(&self) -> Vec<u8> {
        // Texts, numbers and lists always have a form in JSON.
        serde_json::to_vec_pretty(self).unwrap_or_default()
    }

    /// Reads it.
    ///
    /// # Errors
    /// It is of another ddpipe than this one, which might plan another run; it is none; a path leads out of its folder.
    pub fn read(text: &[u8], kinds: Digest) -> Result<Self, Fault> {
        let spec: Spec = serde_json::from_slice(text)
            .map_err(|error| Fault::usage(format!("what was sent to this pilot cannot be read: {error}")))?;
        let mine = env!("CARGO_PKG_VERSION");
        if spec.format != FORMAT || spec.ddpipe != mine || spec.kinds != kinds {
            let other = &spec.ddpipe;
            return Err(Fault::usage(format!(
                "the run was started by a ddpipe of version {other} with other kinds or another form than this one, {mine}\n  \
                 use the same build on the nodes: the setting `ddpipe` of the machine names it"
            )));
        }
        let files = spec.own.iter().chain(spec.sources.values().flatten()).map(|file| file.path.as_str());
        let mut paths =
            files.chain(spec.texts.keys().map(String::as_str)).chain(spec.sources.keys().map(String::as_str));
        if let Some(path) = paths.find(|path| !is_below(path)) {
            return Err(Fault::usage(format!("what was sent to this pilot names {path:?}, outside of its folder")));
        }
        Ok(spec)
    }
}

fn is_below(path: &str) -> bool {
    !path.is_empty() && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn it_is_read_as_it_was_written_and_by_the_same_ddpipe_alone() {
        let kinds = Digest::of(b"kinds");
        let mut spec = Spec::new(kinds, "pipelines/a.toml".into());
        spec.texts.insert("pipelines/a.toml".into(), "[pipeline]".into());
        let file = |path: &str| File { path: path.into(), digest: kinds, bytes: 5, executable: false };
        spec.own.push(file("kinds/a/run.sh"));
        assert_eq!(Spec::read(&spec.text(), kinds).unwrap(), spec);
        let other = Spec::read(&spec.text(), Digest::of(b"other")).unwrap_err().message;
        assert!(other.contains("use the same build"), "{other}");
        for path in ["../a", "/a", "", "a/../../b"] {
            let mut spec = spec.clone();
            spec.own[0] = file(path);
            assert!(Spec::read(&spec.text(), kinds).unwrap_err().message.contains("outside of its folder"), "{path}");
        }
        assert!(Spec::read(b"{}", kinds).is_err());
    }
}
