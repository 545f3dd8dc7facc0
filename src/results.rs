//! What a finished run leaves for people: the tables, pictures and files of its last stages, beside the manifest in
//! `results/<pipeline>/`, with `run.json`, which says where each comes from; and the tables once more on the terminal.

mod account;
mod file;
mod plain;
mod stale;

pub use account::{Account, Called, FileAccount, RUN_FILE};
pub use stale::OUTDATED;

use crate::exit::Fault;
use crate::graph::Graph;
use crate::pipeline::{NodeId, Pipeline};
use crate::terminal::{Colour, Style};
use crate::visible::visible;
use ddpipe_cache::{Cache, Record};
use ddpipe_interface::ArtifactType;
use indexmap::IndexMap;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a node that was not part of the run has no new files.
const NOT_SELECTED: &str = "not selected";

/// The files that a run has left in its results folder.
#[derive(Debug)]
pub struct Written {
    /// The folder.
    pub folder: PathBuf,
    /// The files in it that this run's nodes made.
    pub files: Vec<PathBuf>,
    /// Tables to be shown on the terminal: the node and its Markdown (what is declared with extension `md`).
    pub tables: Vec<(String, String)>,
    /// The files in it of earlier runs, each with its run.
    pub earlier: Vec<(PathBuf, String)>,
    /// What the user should know about the folder.
    pub warnings: Vec<String>,
    /// What could not be read or written. The other results are there all the same.
    pub faults: Vec<Fault>,
}

/// A run that is over, as far as its results are concerned.
#[derive(Debug)]
pub struct Over<'a> {
    /// The name of its folder in the cache.
    pub run: &'a str,
    /// How it was called.
    pub called: Called,
    /// The records of all nodes that are done.
    pub records: &'a [(NodeId, Arc<Record>)],
    /// Why nodes have no record, in words, by address.
    pub lost: IndexMap<String, String>,
}

/// Writes the outputs of type `image`, `table` and `files` of every node that nobody reads. What cannot be written does
/// not keep the others from being written.
pub fn write(pipeline: &Pipeline, graph: &Graph, cache: &Cache, over: Over<'_>) -> Written {
    let folder = pipeline.root.join("results").join(&pipeline.name);
    let before = Account::read(&folder);
    let mut written = Written {
        folder: folder.clone(),
        files: Vec::new(),
        tables: Vec::new(),
        earlier: Vec::new(),
        warnings: Vec::new(),
        faults: Vec::new(),
    };
    let Over { run, called, records, lost } = over;
    if let Some(other) = before.as_ref().filter(|before| !before.called.is_like(&called)) {
        let (folder, theirs) = (folder.display(), other.called.describe());
        let ours = called.describe();
        written.warnings.push(format!(
            "{folder} had the results of {theirs}; this run of {ours} writes over them; give one of them another \
             [pipeline] name to keep both"
        ));
    }
    let lacking = ends_without(pipeline, graph, records, &lost);
    let ddpipe = env!("CARGO_PKG_VERSION").to_string();
    let mut account =
        Account { ddpipe, run: run.to_string(), complete: lacking.is_empty(), called, lacking, files: IndexMap::new() };
    for (id, record) in records.iter().filter(|(id, _)| graph.readers(*id).next().is_none()) {
        written.of_node(pipeline, cache, *id, record, &mut account);
    }
    if let Some(before) = &before {
        written.warnings.extend(stale::settle(&folder, before, &mut account, pipeline));
    }
    let earlier = account.files.iter().filter(|(_, file)| file.run != run);
    written.earlier = earlier.map(|(name, file)| (folder.join(name), file.run.clone())).collect();
    if before.is_some() || !account.files.is_empty() {
        written.faults.extend(account.write(&folder).err());
    }
    written
}

/// The nodes that nobody reads and that have no record, each with the reason.
fn ends_without(
    pipeline: &Pipeline,
    graph: &Graph,
    records: &[(NodeId, Arc<Record>)],
    lost: &IndexMap<String, String>,
) -> IndexMap<String, String> {
    let done: HashSet<NodeId> = records.iter().map(|(id, _)| *id).collect();
    let lacks = |id: &NodeId| !done.contains(id);
    let reason = |id: NodeId| {
        let address = pipeline.node(id).address();
        let reason = lost.get(&address).cloned().unwrap_or_else(|| NOT_SELECTED.into());
        (address, reason)
    };
    graph.ends().filter(lacks).map(reason).collect()
}

impl Written {
    /// Writes what one node leaves.
    fn of_node(&mut self, pipeline: &Pipeline, cache: &Cache, id: NodeId, record: &Record, account: &mut Account) {
        let node = pipeline.node(id);
        let Some(kind) = pipeline.catalog.declaration(&node.kind) else { return };
        for (name, output) in &kind.outputs {
            let shown = matches!(output.artifact, ArtifactType::Image | ArtifactType::Table | ArtifactType::Files);
            let Some(made) = record.outputs.get(name).filter(|_| shown) else { continue };
            let bytes = match cache.blobs().read_verified(made.digest) {
                Ok(bytes) => bytes,
                Err(error) => {
                    self.lacks(node.address(), error.into(), account);
                    continue;
                }
            };
            let mut path = self.folder.join(file::name(node, name, output, &bytes));
            if self.files.contains(&path) || path.ends_with(RUN_FILE) {
                // A second picture, say, of the same node.
                let (stem, ending) = (path.file_stem().unwrap_or_default(), path.extension().unwrap_or_default());
                path = self.folder.join(format!("{}-{name}.{}", stem.display(), ending.display()));
            }
            if let Err(fault) = file::put(&path, &bytes) {
                self.lacks(node.address(), fault, account);
                continue;
            }
            if output.extension.as_deref() == Some("md") {
                self.tables.push((node.address(), String::from_utf8_lossy(&bytes).into_owned()));
            }
            let file = FileAccount {
                node: node.address(),
                output: name.clone(),
                key: record.key,
                digest: made.digest,
                run: account.run.clone(),
            };
            account.files.insert(path.file_name().unwrap_or_default().to_string_lossy().into_owned(), file);
            self.files.push(path);
        }
    }

    /// A file of a node could not be read from the cache or written.
    fn lacks(&mut self, node: String, fault: Fault, account: &mut Account) {
        account.complete = false;
        account.lacking.insert(node, fault.message.clone());
        self.faults.push(fault);
    }

    /// Tables in columns, then where the files are. What a terminal would obey is written out.
    pub fn text(&self, style: Style) -> String {
        let mut tables = String::new();
        for (node, table) in &self.tables {
            let table = plain::text(&visible(table), style.colour);
            tables.push_str(&format!("\n{}\n\n{table}\n", style.paint(Colour::Dim, &visible(node))));
        }
        let mut text = String::new();
        if !self.files.is_empty() {
            text.push_str(&format!("\nresults in {}:\n", shorten(&self.folder)));
            for file in &self.files {
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                text.push_str(&format!("  {name}\n"));
            }
        }
        if !self.earlier.is_empty() {
            text.push_str(&format!("\nfiles of earlier runs in {}, not renewed by this one:\n", shorten(&self.folder)));
            for (file, run) in &self.earlier {
                let name = file.strip_prefix(&self.folder).unwrap_or(file).display();
                text.push_str(&format!("  {name} (run {run})\n"));
            }
        }
        tables + &visible(&text)
    }
}

/// Relative to the current folder where that is shorter.
fn shorten(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here).unwrap_or(path).display().to_string()
}
