//! The resolved pipeline: what a manifest means once includes, profile, overrides, variables, defaults and matrices
//! are worked out. Read-only once built (by `resolve`); `graph` links it, `key` describes its nodes. It knows no
//! record, no schedule and no text of the manifest beyond the places that later messages need.

use crate::catalog::Catalog;
use crate::diagnostic::{Diagnostic, Place, SourceText};
use crate::limits::Limits;
use crate::published::Published;
use crate::selector::Selector;
use ddpipe_interface::Value;
use indexmap::IndexMap;
use std::path::PathBuf;
use std::sync::Arc;

/// One node of the pipeline: an index into [`Pipeline::nodes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u32);

impl NodeId {
    /// The place in [`Pipeline::nodes`].
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// What results of one key may differ in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum NumericsMode {
    /// Results of another libtorch, instruction set or device are used, and of another number of threads of programs of a
    /// project's own: they may differ in their last bits.
    #[default]
    Loose,
    /// They are kept apart: the same key means the same bytes.
    Strict,
}

/// A whole pipeline, resolved and checked.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// `[pipeline] name`.
    pub name: String,
    /// `[pipeline] about`.
    pub about: Option<String>,
    /// `[pipeline] licence`: the licence of what comes of it, in words or as an address.
    pub licence: Option<String>,
    /// The manifest that was loaded, absolute.
    pub file: PathBuf,
    /// The texts of the manifest and of all that it includes, by absolute path, the manifest's first.
    pub files: IndexMap<PathBuf, Arc<SourceText>>,
    /// The project's folder, absolute: the one that holds the `pipelines` folder with the manifest in it, else the
    /// manifest's own. Relative paths of sources, the cache and the results refer to it.
    pub root: PathBuf,
    /// `[pipeline] seed`: the seed of every node without one of its own.
    pub seed: u64,
    /// `[pipeline] numerics`: whether libraries, instruction set, threads and device enter the keys.
    pub numerics: NumericsMode,
    /// Files that come from outside, by name.
    pub sources: IndexMap<String, Source>,
    /// The kinds that the nodes are made of.
    pub catalog: Catalog,
    /// All nodes. A node stands after every node that it reads; otherwise in the manifest's order.
    pub nodes: Vec<Node>,
    /// What is checked after a run.
    pub expectations: Vec<Expectation>,
    /// What others report for its cells.
    pub published: Vec<Published>,
    /// What is worth saying although the pipeline can run, sorted by place.
    pub warnings: Vec<Diagnostic>,
}

/// A folder with files that come from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its name in the manifest.
    pub name: String,
    /// The folder, absolute.
    pub path: PathBuf,
    /// How a person gets the files, in words.
    pub obtain: Option<String>,
    /// The licence of the files, in words or as an address.
    pub licence: Option<String>,
    /// Whether the declared digests are compared; true unless the manifest says otherwise.
    pub verify: bool,
    /// Whether the nodes that need it are left out while it is not there; otherwise nothing runs without it.
    pub optional: bool,
    /// The files and folders, by their name below `path`.
    pub files: IndexMap<String, SourceFile>,
}

/// One file of a source, or one folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Its name below the source's folder; that of a folder ends with `/`.
    pub name: String,
    /// Its absolute path.
    pub path: PathBuf,
    /// MD5 of its bytes, as its publisher states it: 32 lower-case hexadecimal digits.
    pub md5: Option<String>,
    /// SHA-256 of its bytes: 64 lower-case hexadecimal digits.
    pub sha256: Option<String>,
    /// BLAKE3 of its bytes: 64 lower-case hexadecimal digits.
    pub blake3: Option<String>,
    /// Where it can be downloaded from, in order of preference.
    pub url: Vec<String>,
}

impl SourceFile {
    /// Whether this is a folder, read as all that is in it.
    pub fn is_folder(&self) -> bool {
        names_folder(&self.name)
    }
}

/// Whether a name in `files` stands for a folder.
pub fn names_folder(name: &str) -> bool {
    name.ends_with('/')
}

/// One stage with one combination of its axes.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Its own place in [`Pipeline::nodes`].
    pub id: NodeId,
    /// The stage that it belongs to.
    pub stage: String,
    /// The values of its axes: inherited ones first, in the order of the inputs, then its own in the order written.
    pub axes: IndexMap<String, Value>,
    /// Its kind; always in the catalog.
    pub kind: String,
    /// How people and commands name the node: what [`crate::address::address`] makes of its stage and axes.
    pub address: String,
    /// Every parameter, defaults filled in, of the declared types, in the declaration's order. An optional parameter
    /// that was not given is absent. Nodes with the same parameters share them.
    pub params: Arc<IndexMap<String, Value>>,
    /// The seed of its random streams.
    pub seed: u64,
    /// What it reads, by the name of the input, in the declaration's order; one edge unless the input takes many.
    /// An optional input that was not given is absent.
    pub inputs: IndexMap<String, Vec<Edge>>,
    /// How long it may take, and how often it may be tried again.
    pub limits: Limits,
}

impl Node {
    /// How people and commands name the node: `distill[method=dm,seed=0]`, or `train_set` without axes.
    pub fn address(&self) -> String {
        self.address.clone()
    }

    /// Whether a selector names this node, alone or among others.
    pub fn matches(&self, selector: &Selector) -> bool {
        selector.matches(&self.stage, &self.axes)
    }
}

/// One artifact that enters a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The output or file that is read.
    pub from: Endpoint,
    /// The axes that the node folds (mean ± std), from `gather … over`; empty otherwise.
    pub over: Vec<String>,
}

/// The near end of an edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A file from outside.
    Source {
        /// A name in [`Pipeline::sources`].
        source: String,
        /// A name in [`Source::files`].
        file: String,
    },
    /// An output of another node.
    Node {
        /// The node that makes it.
        node: NodeId,
        /// One of the outputs that its kind declares.
        output: String,
    },
}

/// What a run is held to. With several matching nodes each of them must meet the bounds, or, with `mean`, the mean over
/// them must.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// The node and the metric as written: `evaluate[method=dm].accuracy`.
    pub metric: String,
    /// The nodes that it speaks of; matches at least one.
    pub node: Selector,
    /// The name of the metric: `accuracy`.
    pub name: String,
    /// Smallest value that passes.
    pub at_least: Option<f64>,
    /// Largest value that passes.
    pub at_most: Option<f64>,
    /// The value to be met, up to `within`.
    pub equals: Option<f64>,
    /// How far from `equals` still passes; 0 unless given.
    pub within: f64,
    /// Whether the bounds hold for the mean over the matching nodes instead of for each.
    pub mean: bool,
    /// The place in the manifest where it is written.
    pub place: Place,
}

impl Pipeline {
    /// The node with this id.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// Whether a node works on what is there when nodes that it gathers at this input have no result.
    pub fn works_on_a_part(&self, node: NodeId, input: &str) -> bool {
        let node = self.node(node);
        self.catalog.declaration(&node.kind).is_some_and(|kind| kind.works_on_a_part(input, &node.params))
    }

    /// Whether a node's input of this name is read only as far as its stage asks for it.
    pub fn on_demand(&self, node: NodeId, input: &str) -> bool {
        let declaration = self.catalog.declaration(&self.node(node).kind);
        declaration.and_then(|kind| kind.inputs.get(input)).is_some_and(|input| input.on_demand)
    }

    /// The nodes that a selector matches, in order.
    pub fn select<'a>(&'a self, selector: &'a Selector) -> impl Iterator<Item = &'a Node> {
        self.nodes.iter().filter(|node| node.matches(selector))
    }
}
