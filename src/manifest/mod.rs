//! The manifest as written: what a TOML file and its includes say, with overrides laid over and variables put in,
//! every value at its place. What it means, the matrix, the kinds and the connections, is for `resolve`.

pub mod document;
mod include;
mod limits;
mod options;
pub mod outline;
mod overrides;
mod read;
mod vars;
mod weight;

use crate::diagnostic::{Diagnostic, Place, Report, SourceText};
use crate::limits::Limits;
use crate::pipeline::NumericsMode;
use crate::published::Figure;
pub use include::MAX_FILE;
pub(crate) use include::{MAX_FILES, MAX_INCLUDES, normal};
pub use options::{Changed, Form, StageOption};
pub use overrides::Overrides;

use document::{Entry, Item};
use indexmap::IndexMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A manifest as written.
#[derive(Debug)]
pub struct Manifest {
    /// The text of the file that was named; includes have texts of their own.
    pub main: Arc<SourceText>,
    /// The texts of all files by absolute path, that of the file that was named first.
    pub files: IndexMap<PathBuf, Arc<SourceText>>,
    /// The table `[pipeline]`.
    pub pipeline: PipelineTable,
    /// The tables `[sources.NAME]`, by name.
    pub sources: IndexMap<String, SourceTable>,
    /// The tables `[stages.NAME]`, by name.
    pub stages: IndexMap<String, StageTable>,
    /// The tables `[[expect]]`, in order.
    pub expectations: Vec<ExpectTable>,
    /// The tables `[[published]]`, in order.
    pub published: Vec<PublishedTable>,
}

/// The table `[pipeline]` as written.
#[derive(Debug, Default)]
pub struct PipelineTable {
    /// The pipeline's name.
    pub name: String,
    /// One line on what the pipeline is for.
    pub about: Option<String>,
    /// The licence of what comes of it, in words or as an address.
    pub licence: Option<String>,
    /// The seed of all stages without one of their own.
    pub seed: u64,
    /// Whether numerics enter the keys.
    pub numerics: NumericsMode,
    /// Folders with kinds of the project's own, as written.
    pub kinds: Vec<(String, Place)>,
}

/// A table `[sources.NAME]` as written.
#[derive(Debug)]
pub struct SourceTable {
    /// The place of its name in the text.
    pub key: Place,
    /// The folder, as written.
    pub path: String,
    /// The place of the folder in the text, where one is given.
    pub place: Option<Place>,
    /// How a person gets the files, in words.
    pub obtain: Option<String>,
    /// The licence of the files, in words or as an address.
    pub licence: Option<String>,
    /// Whether the declared digests are compared with those of the files.
    pub verify: bool,
    /// Whether what needs it is left out while it is not there.
    pub optional: bool,
    /// The files.
    pub files: IndexMap<String, FileTable>,
}

/// A table `[sources.NAME.files."FILE"]` as written.
#[derive(Debug)]
pub struct FileTable {
    /// The MD5 of its bytes: 32 lower-case hexadecimal digits.
    pub md5: Option<String>,
    /// The SHA-256 of its bytes: 64 lower-case hexadecimal digits.
    pub sha256: Option<String>,
    /// The BLAKE3 of its bytes, or of a folder's list: 64 lower-case hexadecimal digits.
    pub blake3: Option<String>,
    /// URLs that it can be downloaded from, best first.
    pub url: Vec<String>,
}

/// A table `[stages.NAME]` as written. Its values may be templates that refer to axes.
#[derive(Debug)]
pub struct StageTable {
    /// The place of its name in the text.
    pub key: Place,
    /// The kind: a text or a template; none when it is missing or at fault.
    pub kind: Option<Item>,
    /// Inputs as written.
    pub inputs: IndexMap<String, Entry>,
    /// Parameters as written.
    pub params: IndexMap<String, Entry>,
    /// Axes as written.
    pub matrix: IndexMap<String, Entry>,
    /// `matrix.exclude` as written.
    pub exclude: Option<Item>,
    /// A seed of its own, as written.
    pub seed: Option<Item>,
    /// How long it may take, and how often it may be tried again.
    pub limits: Limits,
}

/// A table `[[expect]]` as written.
#[derive(Debug)]
pub struct ExpectTable {
    /// The metric's node and name, as written.
    pub metric: (String, Place),
    /// Smallest value that passes.
    pub at_least: Option<f64>,
    /// Largest value that passes.
    pub at_most: Option<f64>,
    /// The value to be met.
    pub equals: Option<f64>,
    /// The largest distance from `equals` that passes.
    pub within: Option<f64>,
    /// How far the value may fall short of the published one.
    pub under_published: Option<(f64, Place)>,
    /// Whether the bounds hold for the mean over the matching nodes instead of for each.
    pub mean: bool,
}

/// A table `[[published]]` as written.
#[derive(Debug)]
pub struct PublishedTable {
    /// The metric's node and name, as written.
    pub metric: (String, Place),
    /// What is reported.
    pub figure: Figure,
    /// The place of the value, where one is given.
    pub value: Option<Place>,
    /// The place of the protocol's name, where one is given.
    pub protocol: Option<Place>,
    /// The axes whose nodes are repetitions, each with its place.
    pub over: Vec<(String, Place)>,
    /// Whether the manifest states `over`.
    pub given: bool,
    /// How far from the value still counts as reproduced.
    pub within: Option<f64>,
}

impl Manifest {
    /// Reads a manifest. What can be read is returned even when faults were reported, so that later phases find
    /// theirs as well; nothing when a file is not TOML or could not be read.
    pub fn read(
        path: &Path,
        overrides: &Overrides,
        report: &mut Report,
        warnings: &mut Vec<Diagnostic>,
    ) -> Option<Self> {
        let include::Read { mut document, main, files, whole } = include::read(path, overrides, report)?;
        if !whole {
            return None;
        }
        overrides.apply(&mut document, report, warnings);
        vars::substitute(&mut document, &main, report, warnings);
        Some(read::manifest(document, main, files, report))
    }
}
