//! Pipelines of any size, as a manifest for ddpipe and as a build file for ninja. Knows no cache.

use ddpipe::pipeline::{Endpoint, Pipeline};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// The shape of a pipeline.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Chains of five nodes side by side, one for each seed.
    Chains,
    /// The same, and a table that gathers the last node of all.
    Gather,
}

impl Shape {
    /// Its name in the tables.
    pub fn name(self) -> &'static str {
        match self {
            Shape::Chains => "chains",
            Shape::Gather => "gather",
        }
    }
}

/// A manifest of about so many nodes, and not more if it is for five or more.
pub fn manifest(shape: Shape, nodes: usize) -> String {
    // The table is one more node.
    let tables = usize::from(shape == Shape::Gather);
    let last = (nodes.saturating_sub(tables) / 5).max(1) - 1;
    let mut text = format!(
        r#"[pipeline]
name = "scale"

[stages.digits]
kind   = "sample.digits"
matrix = {{ seed = {{ from = 0, to = {last} }} }}

[stages.train_set]
kind   = "decode.idx"
inputs = {{ images = "digits.train_images", labels = "digits.train_labels" }}

[stages.test_set]
kind   = "decode.idx"
inputs = {{ images = "digits.test_images", labels = "digits.test_labels", normalisation = "train_set" }}

[stages.start]
kind   = "init.synthetic"
inputs = {{ real = "train_set" }}

[stages.evaluate]
kind   = "evaluate.classifier"
inputs = {{ synthetic = "start", test = "test_set" }}
"#
    );
    if shape == Shape::Gather {
        text.push_str(
            "\n[stages.table]\nkind = \"report.table\"\ninputs = { results = { gather = \"evaluate\", over = [\"seed\"] } }\n",
        );
    }
    text
}

/// Writes the same graph for ninja into a folder: an edge for each node, a file for each output. All files are there.
pub fn ninja(pipeline: &Pipeline, folder: &Path) -> std::io::Result<()> {
    let mut text = String::from("rule make\n  command = :\n");
    fs::create_dir_all(folder.join("out"))?;
    for node in &pipeline.nodes {
        let outputs = pipeline.catalog.declaration(&node.kind).map(|kind| kind.outputs.keys());
        text.push_str("build");
        for output in outputs.into_iter().flatten() {
            let name = format!("out/{}.{output}", node.id.0);
            fs::write(folder.join(&name), b"")?;
            let _ = write!(text, " {name}");
        }
        text.push_str(": make");
        for edge in node.inputs.values().flatten() {
            if let Endpoint::Node { node, output } = &edge.from {
                let _ = write!(text, " out/{}.{output}", node.0);
            }
        }
        text.push('\n');
    }
    fs::write(folder.join("build.ninja"), text)
}
