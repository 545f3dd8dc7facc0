//! The nodes in `start.json`: a line for each, and a line for each set of parameters, which most nodes share with others. So
//! the file of a run of very many nodes stays small and is written in one pass, without a copy of the nodes. Earlier
//! versions wrote the parameters into every node; those are read too.

use super::ResolvedNode;
use crate::pipeline::{Endpoint, Node, Pipeline};
use ddpipe_interface::Value;
use indexmap::IndexMap;
use serde::Deserialize;
use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::Arc;

/// Parameters of a node.
pub(super) type Params = IndexMap<String, Value>;

/// What a node of the file says of its parameters.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Given {
    /// They are those at this place of the list.
    At(usize),
    /// They stand here.
    Here(Params),
}

impl Default for Given {
    fn default() -> Self {
        Given::At(0)
    }
}

/// Gives every node its parameters. A place that the list does not have stands for none.
pub(super) fn settle(nodes: &mut [ResolvedNode], listed: Vec<Params>) {
    let listed: Vec<Arc<Params>> = listed.into_iter().map(Arc::new).collect();
    for node in nodes {
        node.params = match std::mem::take(&mut node.given) {
            Given::At(place) => listed.get(place).cloned().unwrap_or_default(),
            Given::Here(params) => Arc::new(params),
        };
    }
}

/// Writes the fields `params` and `nodes` of an object.
pub(super) fn write(pipeline: &Pipeline, to: &mut impl Write) -> io::Result<()> {
    let (places, listed) = places(pipeline);
    to.write_all(b"  \"params\": [")?;
    for (place, params) in listed.iter().enumerate() {
        to.write_all(if place == 0 { b"\n    " } else { b",\n    " })?;
        serde_json::to_writer(&mut *to, *params)?;
    }
    to.write_all(b"\n  ],\n  \"nodes\": [")?;
    for (node, place) in pipeline.nodes.iter().zip(places) {
        to.write_all(if node.id.0 == 0 { b"\n    " } else { b",\n    " })?;
        one(node, place, pipeline, to)?;
    }
    to.write_all(b"\n  ]")
}

/// The different parameters, and where among them those of each node are.
fn places(pipeline: &Pipeline) -> (Vec<usize>, Vec<&Params>) {
    let (mut known, mut listed): (HashMap<*const Params, usize>, Vec<&Params>) = Default::default();
    let place = |node: &'_ Node| Arc::as_ptr(&node.params);
    let mut places = Vec::with_capacity(pipeline.nodes.len());
    for node in &pipeline.nodes {
        places.push(*known.entry(place(node)).or_insert_with(|| {
            listed.push(&node.params);
            listed.len() - 1
        }));
    }
    (places, listed)
}

fn one(node: &Node, params: usize, pipeline: &Pipeline, to: &mut impl Write) -> io::Result<()> {
    to.write_all(b"{\"node\": ")?;
    serde_json::to_writer(&mut *to, &node.address)?;
    to.write_all(b", \"kind\": ")?;
    serde_json::to_writer(&mut *to, &node.kind)?;
    write!(to, ", \"seed\": {}, \"params\": {params}, \"inputs\": {{", node.seed)?;
    for (number, (name, edges)) in node.inputs.iter().enumerate() {
        to.write_all(if number == 0 { b"" } else { b", " })?;
        serde_json::to_writer(&mut *to, name)?;
        to.write_all(b": [")?;
        for (number, edge) in edges.iter().enumerate() {
            to.write_all(if number == 0 { b"" } else { b", " })?;
            serde_json::to_writer(&mut *to, &from(&edge.from, pipeline))?;
        }
        to.write_all(b"]")?;
    }
    to.write_all(b"}}")
}

/// `node.output`, or `source:name/file`.
pub(super) fn from(endpoint: &Endpoint, pipeline: &Pipeline) -> String {
    match endpoint {
        Endpoint::Source { source, file } => format!("source:{source}/{file}"),
        Endpoint::Node { node, output } => format!("{}.{output}", pipeline.node(*node).address),
    }
}
