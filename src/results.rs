//! What a finished run leaves for people: the tables, pictures and files of its last stages, beside the manifest in
//! `results/<pipeline>/`, and the tables once more on the terminal.

use crate::exit::Fault;
use crate::graph::Graph;
use crate::pipeline::{Node, NodeId, Pipeline};
use ddpipe_cache::{Cache, Record};
use ddpipe_interface::{ArtifactType, Output};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The files that a run has left in its results folder.
#[derive(Debug)]
pub struct Written {
    /// The folder.
    pub folder: PathBuf,
    /// The files in it that this run's nodes made.
    pub files: Vec<PathBuf>,
    /// Tables to be shown on the terminal: the node and its Markdown (what is declared with extension `md`).
    pub tables: Vec<(String, String)>,
}

/// Writes the outputs of type `image`, `table` and `files` of every node that nobody reads. A file that has the right
/// content already is not touched.
pub fn write(
    pipeline: &Pipeline,
    graph: &Graph,
    cache: &Cache,
    records: &[(NodeId, Arc<Record>)],
) -> Result<Written, Fault> {
    let folder = pipeline.root.join("results").join(&pipeline.name);
    let mut written = Written { folder: folder.clone(), files: Vec::new(), tables: Vec::new() };
    for (id, record) in records.iter().filter(|(id, _)| graph.readers(*id).next().is_none()) {
        let node = pipeline.node(*id);
        let Some(kind) = pipeline.catalog.declaration(&node.kind) else { continue };
        for (name, output) in &kind.outputs {
            let shown = matches!(output.artifact, ArtifactType::Image | ArtifactType::Table | ArtifactType::Files);
            let Some(made) = record.outputs.get(name).filter(|_| shown) else { continue };
            let bytes = cache.blobs().read_verified(made.digest)?;
            let mut path = folder.join(file_name(node, name, output, &bytes));
            if written.files.contains(&path) {
                // A second picture, say, of the same node.
                let (stem, ending) = (path.file_stem().unwrap_or_default(), path.extension().unwrap_or_default());
                path = folder.join(format!("{}-{name}.{}", stem.display(), ending.display()));
            }
            put(&path, &bytes)?;
            if output.extension.as_deref() == Some("md") {
                written.tables.push((node.address(), String::from_utf8_lossy(&bytes).into_owned()));
            }
            written.files.push(path);
        }
    }
    Ok(written)
}

impl Written {
    /// Tables, then where the files are.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (node, table) in &self.tables {
            text.push_str(&format!("\n{node}\n\n{}\n", table.trim_end()));
        }
        if !self.files.is_empty() {
            text.push_str(&format!("\nresults in {}:\n", shorten(&self.folder)));
            for file in &self.files {
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                text.push_str(&format!("  {name}\n"));
            }
        }
        text
    }
}

/// `table.md`, or with axes `grid-method=dm.png`: the ending is the declared extension, else that of the type. Two outputs
/// of the same form have the same name here.
fn file_name(node: &Node, name: &str, output: &Output, bytes: &[u8]) -> String {
    let axes: Vec<String> =
        node.axes.iter().map(|(name, value)| format!("{name}={}", crate::address::value_text(value))).collect();
    let mut stem = node.stage.clone();
    if !axes.is_empty() {
        stem = format!("{stem}-{}", axes.join(","));
    }
    let stem: String =
        stem.chars().map(|letter| if letter == '/' || letter.is_control() { '_' } else { letter }).collect();
    let extension = match (&output.extension, output.artifact) {
        (Some(extension), _) => extension.as_str(),
        (None, ArtifactType::Table) => "json",
        (None, ArtifactType::Image) if bytes.starts_with(b"\x89PNG") => "png",
        (None, ArtifactType::Image) => "svg",
        (None, _) => name,
    };
    format!("{stem}.{extension}")
}

fn put(path: &Path, bytes: &[u8]) -> Result<(), Fault> {
    if std::fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(path);
    let write = || -> std::io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let mut aside = tempfile::NamedTempFile::new_in(folder)?;
        std::io::Write::write_all(&mut aside, bytes)?;
        aside.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|error| Fault::io("write", path, &error))
}

/// Relative to the current folder where that is shorter.
fn shorten(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here).unwrap_or(path).display().to_string()
}
