//! `ddpipe graph`: the nodes and what they read, as text, Mermaid or DOT.

use super::project::ManifestArgs;
use super::{Done, print};
use crate::graph::Graph;
use crate::pipeline::{NodeId, Pipeline};

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
    let pipeline = args.manifest.load()?;
    let graph = Graph::link(&pipeline);
    print(&match args.format {
        Format::Text => text(&pipeline, &graph),
        Format::Mermaid => {
            drawn(&pipeline, &graph, "flowchart LR\n", "", |id, label| format!("  n{id}[\"{label}\"]\n"), "-->")
        }
        Format::Dot => {
            let node = |id, label: &str| format!("  n{id} [label=\"{label}\"];\n");
            drawn(&pipeline, &graph, "digraph pipeline {\n  rankdir=LR; node [shape=box];\n", "}\n", node, "->")
        }
    })
}

fn text(pipeline: &Pipeline, graph: &Graph) -> String {
    let mut text = String::new();
    for node in &pipeline.nodes {
        let reads: Vec<String> = graph.reads(node.id).map(|read| pipeline.node(read).address()).collect();
        let mut reads = reads;
        reads.reverse();
        let reads = if reads.is_empty() { String::new() } else { format!(" <- {}", reads.join(", ")) };
        text.push_str(&format!("{} ({}){reads}\n", node.address(), node.kind));
    }
    text
}

fn drawn(
    pipeline: &Pipeline,
    graph: &Graph,
    head: &str,
    tail: &str,
    node: impl Fn(u32, &str) -> String,
    arrow: &str,
) -> String {
    let mut text = head.to_string();
    for one in &pipeline.nodes {
        text.push_str(&node(one.id.0, &one.address().replace('"', "'")));
    }
    for one in &pipeline.nodes {
        let mut reads: Vec<NodeId> = graph.reads(one.id).collect();
        reads.sort();
        for read in reads {
            text.push_str(&format!("  n{} {arrow} n{}\n", read.0, one.id.0));
        }
    }
    text.push_str(tail);
    text
}
