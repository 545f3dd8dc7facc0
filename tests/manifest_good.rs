//! Manifests that are accepted, each with the nodes that it expands to beside it.

#![allow(clippy::unwrap_used)]

mod manifest_support;

use ddpipe::pipeline::{Edge, Endpoint, Pipeline};
use manifest_support::{catalog, differs, manifests, overrides};
use std::fmt::Write as _;
use std::fs;

#[test]
fn each_good_manifest_expands_to_its_nodes() {
    let paths = manifests("good");
    assert!(paths.len() >= 8, "only {} manifests", paths.len());
    let mut wrong = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        match ddpipe::load(&path, &overrides(&text), catalog()) {
            Err(report) => wrong.push(format!("{} was rejected:\n{report}", path.display())),
            Ok(pipeline) => {
                assert_topological(&pipeline);
                wrong.extend(differs(&path, &describe(&pipeline)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn assert_topological(pipeline: &Pipeline) {
    for (index, node) in pipeline.nodes.iter().enumerate() {
        assert_eq!(node.id.index(), index);
        for edge in node.inputs.values().flatten() {
            if let Endpoint::Node { node: from, .. } = &edge.from {
                assert!(from.index() < index, "{} reads a later node", node.address());
            }
        }
    }
}

/// Sources, nodes with the parameters that differ from their defaults, expectations and warnings.
fn describe(pipeline: &Pipeline) -> String {
    let mut text = format!("pipeline {} seed {}\n", pipeline.name, pipeline.seed);
    for source in pipeline.sources.values() {
        let path = source.path.strip_prefix(&pipeline.root).unwrap();
        let files: Vec<_> = source.files.keys().map(String::as_str).collect();
        writeln!(text, "source {} {} verify {}: {}", source.name, path.display(), source.verify, files.join(" "))
            .unwrap();
    }
    for node in &pipeline.nodes {
        let declared = &pipeline.catalog.declaration(&node.kind).unwrap().params;
        writeln!(text, "{}\n  {} seed {}", node.address(), node.kind, node.seed).unwrap();
        for (name, value) in node.params.iter() {
            if declared[name].default.as_ref() != Some(value) {
                writeln!(text, "  {name} = {value}").unwrap();
            }
        }
        for (name, param) in declared {
            assert_eq!(node.params.contains_key(name), !param.optional || node.params.contains_key(name));
        }
        for (name, edges) in &node.inputs {
            let edges: Vec<_> = edges.iter().map(|edge| edge_text(pipeline, edge)).collect();
            writeln!(text, "  {name} <- {}", edges.join(", ")).unwrap();
        }
    }
    for expectation in &pipeline.expectations {
        let nodes = pipeline.select(&expectation.node).count();
        writeln!(text, "expect {} of {nodes} nodes", expectation.metric).unwrap();
    }
    for warning in &pipeline.warnings {
        writeln!(text, "warning {}", warning.headline()).unwrap();
    }
    text
}

fn edge_text(pipeline: &Pipeline, edge: &Edge) -> String {
    let from = match &edge.from {
        Endpoint::Source { source, file } => format!("source:{source}/{file}"),
        Endpoint::Node { node, output } => format!("{}.{output}", pipeline.node(*node).address()),
    };
    if edge.over.is_empty() { from } else { format!("{from} over {}", edge.over.join("+")) }
}
