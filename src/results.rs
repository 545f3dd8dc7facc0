//! What a finished run leaves for people: the tables, pictures and files of its last stages, beside the manifest in
//! `results/<pipeline>/`, with `run.json`, which says where each comes from; and the tables once more on the terminal.

mod account;
mod file;
mod plain;
mod stale;
mod stamp;

pub use account::{Account, Called, FileAccount, RUN_FILE};
pub(crate) use file::name as file_name;
pub(crate) use file::put as write_whole;
pub(crate) use file::put_by as write_by;
pub use file::stem as file_stem;
pub use plain::text as in_columns;
pub use stale::OUTDATED;
pub use stamp::Stamped;

use crate::exit::Fault;
use crate::graph::Graph;
use crate::ledger::beside_table;
use crate::pipeline::{NodeId, Pipeline};
use crate::plan::{Plan, Verdict};
use crate::terminal::{Colour, Style};
use crate::visible::visible;
use ddpipe_cache::{Cache, CacheError, Digest, Record};
use ddpipe_interface::ArtifactType;
use indexmap::IndexMap;
use stamp::Stamp;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a node that was not part of the run has no new files.
const NOT_SELECTED: &str = "not selected";
/// How the reason begins for a node that is left out.
const LEFT_OUT: &str = "left out";

/// Whether a node that has no new files for this reason keeps those that it had.
fn is_no_failure(reason: &str) -> bool {
    reason == NOT_SELECTED || reason.starts_with(LEFT_OUT)
}

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

impl Written {
    /// Nothing, in this folder.
    pub fn nothing(folder: PathBuf) -> Self {
        let (files, tables, earlier) = (Vec::new(), Vec::new(), Vec::new());
        Written { folder, files, tables, earlier, warnings: Vec::new(), faults: Vec::new() }
    }
}

/// A run that is over, as far as its results are concerned.
#[derive(Debug)]
pub struct Over<'a> {
    /// The folder for the results of this pipeline.
    pub folder: PathBuf,
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
    let Over { folder, run, called, records, lost } = over;
    let before = Account::read(&folder);
    let mut written = Written::nothing(folder.clone());
    let other = before.as_ref().filter(|before| !before.called.is_like(&called));
    let theirs: Vec<(&String, &FileAccount)> = other.map_or_else(Vec::new, |other| other.there(&folder).collect());
    let lacking = ends_without(pipeline, graph, records, &lost);
    let ddpipe = env!("CARGO_PKG_VERSION").to_string();
    let mut account =
        Account { ddpipe, run: run.to_string(), complete: lacking.is_empty(), called, lacking, files: IndexMap::new() };
    for (id, record) in records.iter().filter(|(id, _)| graph.readers(*id).next().is_none()) {
        written.of_node(pipeline, cache, *id, record, before.as_ref(), &mut account);
    }
    if let Some(before) = &before {
        written.warnings.extend(stale::settle(&folder, before, &mut account, pipeline));
    }
    if let Some(other) = other {
        let replaced =
            |(name, was): &(&String, &FileAccount)| account.files.get(*name).is_none_or(|now| now.digest != was.digest);
        if theirs.iter().any(replaced) {
            let (folder, theirs, ours) = (folder.display(), other.called.describe(), account.called.describe());
            written.warnings.push(format!(
                "{folder} had the results of {theirs}; this run of {ours} has written over them; give one of them \
                 another [pipeline] name to keep both"
            ));
        }
        if written.files.is_empty() {
            account.called = other.called.clone();
        }
    }
    let earlier = account.files.iter().filter(|(_, file)| file.run != run);
    written.earlier = earlier.map(|(name, file)| (folder.join(name), file.run.clone())).collect();
    if before.is_some() || !account.files.is_empty() {
        written.faults.extend(account.write(&folder).err());
    }
    written
}

/// The folder for the results of a pipeline: below the one that the user names, or below `results` in the project.
pub fn folder_of(pipeline: &Pipeline, given: Option<&Path>) -> PathBuf {
    given.map_or_else(|| pipeline.root.join("results"), Path::to_path_buf).join(&pipeline.name)
}

/// Makes the folder and tries whether files can be made in it, if this pipeline leaves any: to be known before hours of
/// computing and not after.
pub fn try_folder(pipeline: &Pipeline, graph: &Graph, folder: &Path) -> Result<(), Fault> {
    let leaves_files = |id: NodeId| {
        let kind = pipeline.catalog.declaration(&pipeline.node(id).kind);
        kind.is_some_and(|kind| kind.outputs.values().any(|output| is_shown(output.artifact)))
    };
    if !graph.ends().any(leaves_files) {
        return Ok(());
    }
    file::try_folder(folder).map_err(|fault| Fault {
        message: format!("{}; --results DIR or DDPIPE_RESULTS puts results elsewhere", fault.message),
        ..fault
    })
}

/// Brings the files of nodes that nobody reads here from the cache's remote, if it has one. False where something is not to
/// be had: then its node has to run.
///
/// # Errors
/// Something cannot be written here.
pub fn bring(pipeline: &Pipeline, graph: &Graph, cache: &Cache, plan: &Plan) -> Result<bool, CacheError> {
    let mut all = true;
    for id in graph.ends().filter(|_| cache.has_remote()) {
        let Some(Verdict::Fresh(record)) = plan.verdicts.get(id.index()) else { continue };
        let Some(kind) = pipeline.catalog.declaration(&pipeline.node(id).kind) else { continue };
        let shown = kind.outputs.iter().filter(|(_, output)| is_shown(output.artifact));
        for made in shown.filter_map(|(name, _)| record.outputs.get(name)) {
            all &= cache.bring(made.digest, made.bytes)?;
        }
    }
    Ok(all)
}

/// Whether outputs of a type become files for people.
fn is_shown(artifact: ArtifactType) -> bool {
    matches!(artifact, ArtifactType::Image | ArtifactType::Table | ArtifactType::Files)
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
    fn of_node(
        &mut self,
        pipeline: &Pipeline,
        cache: &Cache,
        id: NodeId,
        record: &Record,
        before: Option<&Account>,
        account: &mut Account,
    ) {
        let node = pipeline.node(id);
        let Some(kind) = pipeline.catalog.declaration(&node.kind) else { return };
        for (name, output) in &kind.outputs {
            let Some(made) = record.outputs.get(name).filter(|_| is_shown(output.artifact)) else { continue };
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
            if output.extension.as_deref() == Some("md") {
                let table = String::from_utf8_lossy(&bytes);
                let published = beside_table(pipeline, id).map(|text| format!("\n\n{text}"));
                self.tables.push((node.address(), table.trim_end().to_string() + &published.unwrap_or_default()));
            }
            let name_of_file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let there = before.and_then(|it| it.unchanged(&self.folder, &name_of_file, record.key, made.digest));
            let ending = path.extension().unwrap_or_default().to_string_lossy().into_owned();
            let stamp = Stamp { pipeline: &pipeline.name, node: &node.address(), run: &account.run, record };
            let output_bytes = bytes.clone();
            let (bytes, written_by) = match there {
                Some((there, as_written)) => (as_written, there.written_by.clone()),
                None => (stamp.put_into(&ending, bytes), account.run.clone()),
            };
            let is_ours = |there: &[u8]| stamp.wrote(there, &ending, &output_bytes);
            self.warnings.extend(stale::spare(&self.folder, &name_of_file, &bytes, before, is_ours));
            if let Err(fault) = file::put(&path, &bytes) {
                self.lacks(node.address(), fault, account);
                continue;
            }
            let file = FileAccount {
                node: node.address(),
                output: name.clone(),
                key: record.key,
                output_digest: made.digest,
                digest: Digest::of(&bytes),
                run: account.run.clone(),
                written_by,
            };
            account.files.insert(name_of_file, file);
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
