//! What stands behind a number: the stages that lead to its nodes with the parameters that differ from their defaults, and the
//! files from outside. Told from the pipeline that the report is about.

use super::subject::Subject;
use super::words::plain;
use crate::pipeline::{Endpoint, Node, NodeId, Pipeline};
use indexmap::{IndexMap, IndexSet};

/// More values than this of one parameter are counted.
const VALUES: usize = 4;

/// A parameter that differs from its default.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The parameter.
    pub name: String,
    /// Its value.
    pub value: String,
    /// The default; empty where there is none.
    pub default: String,
}

/// A stage behind a number.
#[derive(Clone, Debug)]
pub struct Behind {
    /// The stage.
    pub stage: String,
    /// Its kind.
    pub kind: String,
    /// Where its nodes stand.
    pub href: String,
    /// How many of its nodes lead to the number.
    pub nodes: usize,
    /// What is set in them: `ipc = 10, from = real`.
    pub set: String,
}

/// The parameters of a node that differ from their defaults.
pub fn settings(pipeline: &Pipeline, node: &Node) -> Vec<Setting> {
    let kind = pipeline.catalog.declaration(&node.kind);
    let default = |name: &str| kind.and_then(|kind| kind.params.get(name)?.default.as_ref());
    node.params
        .iter()
        .filter(|(name, value)| default(name) != Some(*value))
        .map(|(name, value)| Setting {
            name: name.clone(),
            value: plain(value),
            default: default(name).map(plain).unwrap_or_default(),
        })
        .collect()
}

/// The stages behind these nodes, their own included, in the pipeline's order.
pub fn of(subject: &Subject, nodes: &[NodeId]) -> Vec<Behind> {
    let reached = subject.graph.reached_by(nodes.iter().copied());
    let mut stages: IndexMap<&str, Vec<&Node>> = IndexMap::new();
    for node in subject.pipeline.nodes.iter().filter(|node| reached[node.id.index()]) {
        stages.entry(&node.stage).or_default().push(node);
    }
    let of_stage = |(stage, nodes): (&str, Vec<&Node>)| {
        let first = nodes.first()?;
        let set: IndexSet<String> =
            nodes.iter().flat_map(|node| settings(subject.pipeline, node)).map(|setting| setting.name).collect();
        // Where one of them differs from the default, the others are told too.
        let values = |name: &String| -> IndexSet<String> {
            nodes.iter().filter_map(|node| node.params.get(name)).map(plain).collect()
        };
        let mut words: Vec<String> = set.iter().map(|name| format!("{name} = {}", several(&values(name)))).collect();
        let seeds: IndexSet<String> = nodes.iter().map(|node| node.seed.to_string()).collect();
        let is_seeded = |kind: &str| subject.pipeline.catalog.declaration(kind).is_some_and(|kind| kind.seeded);
        if is_seeded(&first.kind) {
            words.push(format!("seed = {}", several(&seeds)));
        }
        let kinds: IndexSet<String> = nodes.iter().map(|node| node.kind.clone()).collect();
        Some(Behind {
            stage: stage.to_string(),
            kind: several(&kinds),
            href: stage_href(subject.pipeline, stage),
            nodes: nodes.len(),
            set: words.join(", "),
        })
    };
    stages.into_iter().filter_map(of_stage).collect()
}

fn several(values: &IndexSet<String>) -> String {
    let named: Vec<&str> = values.iter().take(VALUES).map(String::as_str).collect();
    let more = values.len().saturating_sub(VALUES);
    if more > 0 { format!("{} and {more} more", named.join(" | ")) } else { named.join(" | ") }
}

/// Where the nodes of a stage stand.
pub fn stage_href(pipeline: &Pipeline, stage: &str) -> String {
    let first = pipeline.nodes.iter().find(|node| node.stage == stage);
    first.map_or("#nodes".into(), |node| format!("#s{}", node.id.0))
}

/// The files from outside behind these nodes, each with its digest and whether that was compared.
pub fn sources(subject: &Subject, nodes: &[NodeId]) -> Vec<String> {
    let reached = subject.graph.reached_by(nodes.iter().copied());
    let mut names: IndexSet<String> = IndexSet::new();
    for node in subject.pipeline.nodes.iter().filter(|node| reached[node.id.index()]) {
        for edge in node.inputs.values().flatten() {
            if let Endpoint::Source { source, file } = &edge.from {
                names.insert(format!("{source}/{file}"));
            }
        }
    }
    let words = |name: String| match subject.sources.get(&name) {
        Some(seen) => {
            let verified = if seen.verified { "as its publisher states it" } else { "not verified" };
            format!("{name}: blake3 {} ({verified})", seen.digest.short())
        }
        None => format!("{name}: not looked at"),
    };
    names.into_iter().map(words).collect()
}
