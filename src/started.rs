//! What a run was started with, kept in its folder as `start.json`: the files of the manifest as they were, the command
//! line, the environment and the commit. So a run can be looked at, and started again, whatever has changed since.

mod nodes;

use crate::exit::Fault;
use crate::history;
use crate::manifest::Overrides;
use crate::pipeline::{Edge, Node, Pipeline};
use crate::resolve::project_of;
use ddpipe_cache::{Cache, Commit, RunDir};
use ddpipe_interface::Value;
use indexmap::IndexMap;
use nodes::{Given, Params};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file's name in the folder of a run.
const FILE: &str = "start.json";

/// What a run was started with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Started {
    /// The version of ddpipe.
    pub ddpipe: String,
    /// The command line, the program's name first.
    pub command: Vec<String>,
    /// The folder that it was called in.
    pub folder: PathBuf,
    /// The manifest's file, absolute.
    pub manifest: PathBuf,
    /// `--profile`, in order.
    pub profile: Vec<String>,
    /// `--set`, in order, as paths and values.
    pub sets: Vec<(String, String)>,
    /// The environment variables that changed the manifest.
    pub env: Vec<(String, String)>,
    /// `--select`, in order.
    pub select: Vec<String>,
    /// The state of the project's git repository.
    pub commit: Option<Commit>,
    /// The texts of the manifest and of all that it includes, by absolute path, the manifest first.
    pub files: IndexMap<PathBuf, String>,
    /// The different parameters of nodes, which name them by place.
    #[serde(default, skip_serializing)]
    params: Vec<Params>,
    /// The manifest as it was resolved: every node. Empty unless it was read from a run's folder.
    #[serde(skip_serializing)]
    pub nodes: Vec<ResolvedNode>,
}

/// A node as a manifest was resolved.
#[derive(Clone, Debug, Deserialize)]
pub struct ResolvedNode {
    /// Its address: `distill[method=dm]`.
    pub node: String,
    /// Its stage kind.
    pub kind: String,
    /// Its seed.
    pub seed: u64,
    /// All parameters, defaults filled in.
    #[serde(skip)]
    pub params: Arc<IndexMap<String, Value>>,
    #[serde(default, rename = "params")]
    given: Given,
    /// What is connected to each input: `node.output`, or `source:name/file`.
    pub inputs: IndexMap<String, Vec<String>>,
}

impl ResolvedNode {
    /// The node of a pipeline.
    pub fn of(node: &Node, pipeline: &Pipeline) -> Self {
        let from = |edges: &Vec<Edge>| edges.iter().map(|edge| nodes::from(&edge.from, pipeline)).collect();
        let connected = node.inputs.iter().map(|(name, edges)| (name.clone(), from(edges)));
        ResolvedNode {
            node: node.address(),
            kind: node.kind.clone(),
            seed: node.seed,
            params: node.params.clone(),
            given: Given::default(),
            inputs: connected.collect(),
        }
    }
}

impl Started {
    /// What this process runs.
    pub fn now(pipeline: &Pipeline, overrides: &Overrides, select: &[String], commit: Option<Commit>) -> Self {
        Started {
            ddpipe: env!("CARGO_PKG_VERSION").to_string(),
            command: std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect(),
            folder: std::env::current_dir().unwrap_or_default(),
            manifest: pipeline.file.clone(),
            profile: overrides.profile.clone(),
            sets: overrides.sets.clone(),
            env: overrides.env.clone(),
            select: select.to_vec(),
            commit,
            files: pipeline.files.iter().map(|(path, text)| (path.clone(), text.text.clone())).collect(),
            params: Vec::new(),
            nodes: Vec::new(),
        }
    }

    /// Writes it into the folder of a run, with the nodes of its pipeline.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, run: &RunDir, pipeline: &Pipeline) -> Result<(), Fault> {
        let path = run.path().join(FILE);
        let failed = |error: std::io::Error| Fault::io("write", &path, &error);
        fs::write(&path, self.text(pipeline).map_err(failed)?).map_err(failed)
    }

    fn text(&self, pipeline: &Pipeline) -> std::io::Result<Vec<u8>> {
        let mut text = serde_json::to_vec_pretty(self)?;
        // The object goes on.
        text.truncate(text.trim_ascii_end().len().saturating_sub(1));
        text.truncate(text.trim_ascii_end().len());
        text.extend_from_slice(b",\n");
        nodes::write(pipeline, &mut text)?;
        text.write_all(b"\n}\n")?;
        Ok(text)
    }

    /// Reads what a run of this cache was started with. `id` may be the first letters of its id, its name, or `last`.
    ///
    /// # Errors
    /// There is no such run, there are several, or its folder does not say it.
    pub fn read(cache: &Cache, id: &str) -> Result<Self, Fault> {
        Started::in_folder(&history::find(cache, id)?.path)
    }

    /// Reads what the run in this folder was started with.
    ///
    /// # Errors
    /// The folder does not say it.
    pub fn in_folder(folder: &Path) -> Result<Self, Fault> {
        let path = folder.join(FILE);
        let text = fs::read(&path).map_err(|error| Fault::io("read", &path, &error))?;
        let wrong = |error| Fault::usage(format!("{}: not what a run was started with: {error}", path.display()));
        let mut started: Started = serde_json::from_slice(&text).map_err(wrong)?;
        nodes::settle(&mut started.nodes, std::mem::take(&mut started.params));
        Ok(started)
    }

    /// Whether another run was asked for the same: the same texts, overrides, variables and selection.
    pub fn asks_for_the_same(&self, other: &Started) -> bool {
        let asked = |started: &Started| {
            let Started { manifest, profile, sets, env, select, files, .. } = started.clone();
            (manifest, profile, sets, env, select, files)
        };
        asked(self) == asked(other)
    }

    /// Checks that the run's project is in the current folder, or is the one that the cache lies in. The record of a run may
    /// have come along with a stranger's project, and must not name another folder to work in.
    ///
    /// # Errors
    /// The project is elsewhere, or is gone.
    pub fn check_project(&self, cache: &Cache) -> Result<(), Fault> {
        let root = project_of(&self.manifest);
        let real = root.canonicalize().map_err(|error| Fault::io("find", &root, &error))?;
        let here =
            std::env::current_dir().and_then(|here| here.canonicalize()).is_ok_and(|here| real.starts_with(here));
        let around = cache.root().canonicalize().is_ok_and(|cache| cache.parent() == Some(&real));
        if here || around {
            return Ok(());
        }
        Err(Fault::usage(format!(
            "that run was one of the project in {}, which is neither in this folder nor around the cache\n  call the command \
             there, or allow it with --allow-outside, if you trust the cache",
            root.display()
        )))
    }

    /// The overrides that load the same manifest again: the texts are those of the run, whatever the files say now. Where
    /// files may be downloaded to is not taken over: only the present command line is the user's word.
    pub fn overrides(&self, allow_outside: bool) -> Overrides {
        Overrides {
            profile: self.profile.clone(),
            sets: self.sets.clone(),
            env: self.env.clone(),
            allow_outside,
            texts: Some(self.files.clone().into_iter().collect()),
            ..Overrides::default()
        }
    }
}
