//! `ddpipe graph`: the nodes and what they read, as text, Mermaid or DOT.

use super::project::ManifestArgs;
use super::{Done, print};
use crate::graph::Graph;
use crate::pipeline::{Node, NodeId, Pipeline};

/// Show the graph.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    manifest: ManifestArgs,
    /// How
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    /// One line per node: its address, kind and what it reads
    Text,
    /// A Mermaid flowchart
    Mermaid,
    /// Graphviz
    Dot,
}

pub(super) fn run(args: Args) -> Done {
    let loaded = args.manifest.load()?;
    let needed = loaded.needed();
    let shown = Shown { pipeline: &loaded.pipeline, graph: &loaded.graph, needed: &needed };
    print(&match args.format {
        Format::Text => text(&shown),
        Format::Mermaid => drawn(&shown, "flowchart LR\n", "", |id, label| format!("  n{id}[\"{label}\"]\n"), "-->"),
        Format::Dot => {
            let node = |id, label: &str| format!("  n{id} [label=\"{label}\"];\n");
            drawn(&shown, "digraph pipeline {\n  rankdir=LR; node [shape=box];\n", "}\n", node, "->")
        }
    })
}

/// The nodes that are drawn: those that are selected, and what they need.
struct Shown<'a> {
    pipeline: &'a Pipeline,
    graph: &'a Graph,
    needed: &'a [bool],
}

impl Shown<'_> {
    fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.pipeline.nodes.iter().zip(self.needed).filter(|(_, needed)| **needed).map(|(node, _)| node)
    }
}

fn text(shown: &Shown<'_>) -> String {
    let mut text = String::new();
    for node in shown.nodes() {
        let address = |read| shown.pipeline.node(read).address();
        let mut reads: Vec<String> = shown.graph.reads(node.id).map(address).collect();
        reads.reverse();
        let reads = if reads.is_empty() { String::new() } else { format!(" <- {}", reads.join(", ")) };
        text.push_str(&format!("{} ({}){reads}\n", node.address(), node.kind));
    }
    text
}

fn drawn(shown: &Shown<'_>, head: &str, tail: &str, node: impl Fn(u32, &str) -> String, arrow: &str) -> String {
    let mut text = head.to_string();
    for one in shown.nodes() {
        text.push_str(&node(one.id.0, &one.address().replace('"', "'")));
    }
    for one in shown.nodes() {
        let mut reads: Vec<NodeId> = shown.graph.reads(one.id).collect();
        reads.sort();
        for read in reads {
            text.push_str(&format!("  n{} {arrow} n{}\n", read.0, one.id.0));
        }
    }
    text.push_str(tail);
    text
}
