//! Every node with its proof: what it was made from, how, where and when, what it gave, and what it said.

use super::behind::{Setting, settings, stage_href};
use super::standing::Standing;
use super::subject::Subject;
use super::words::{Link, Pair, measured};
use crate::command;
use crate::commit;
use crate::pipeline::{Endpoint, Node};
use crate::progress::duration;
use crate::size;
use crate::when;
use ddpipe_cache::Record;
use indexmap::IndexMap;

/// So many inputs of a list are named.
const INPUTS: usize = 12;

/// The nodes of a stage.
pub struct Stage {
    /// The name in links, without its `#`.
    pub id: String,
    /// The stage.
    pub name: String,
    /// Its kinds.
    pub kind: String,
    /// What its first kind does.
    pub help: String,
    /// Its nodes.
    pub nodes: Vec<Proof>,
}

/// A node with its proof.
pub struct Proof {
    /// The name in links, without its `#`.
    pub id: String,
    /// Its address.
    pub address: String,
    /// What became of it.
    pub standing: Standing,
    /// Its main results, in a line.
    pub results: String,
    /// What made it, as names and values.
    pub facts: Vec<Pair>,
    /// The parameters that differ from their defaults.
    pub settings: Vec<Setting>,
    /// What it read.
    pub inputs: Vec<Input>,
    /// What it made: output, type, size and digest.
    pub outputs: Vec<[String; 4]>,
    /// All numbers that it gave.
    pub metrics: Vec<Pair>,
    /// What went wrong.
    pub failure: String,
    /// The last lines that it logged.
    pub log: String,
}

/// What a node read at one input, or what reads it.
pub struct Input {
    /// `reads images`, or `is read by`.
    pub name: String,
    /// The nodes.
    pub links: Vec<Link>,
    /// Files from outside, and how many nodes are not named.
    pub rest: String,
}

/// All stages with their nodes.
pub fn of(subject: &Subject) -> Vec<Stage> {
    let mut stages: IndexMap<&str, Stage> = IndexMap::new();
    for node in &subject.pipeline.nodes {
        let stage = stages.entry(&node.stage).or_insert_with(|| Stage {
            id: stage_href(subject.pipeline, &node.stage).trim_start_matches('#').to_string(),
            name: node.stage.clone(),
            kind: String::new(),
            help: subject.pipeline.catalog.declaration(&node.kind).map_or(String::new(), |kind| kind.help.clone()),
            nodes: Vec::new(),
        });
        if !stage.kind.split(", ").any(|kind| kind == node.kind) {
            let between = if stage.kind.is_empty() { "" } else { ", " };
            stage.kind.push_str(&format!("{between}{}", node.kind));
        }
        stage.nodes.push(proof(subject, node));
    }
    stages.into_values().collect()
}

fn proof(subject: &Subject, node: &Node) -> Proof {
    let facts = subject.facts(node.id);
    let record = facts.record.as_deref();
    let told = subject.told(node.id);
    let log = told.as_ref().map_or(String::new(), |(_, work)| {
        let cut = if work.log_is_cut { "… earlier lines are left out; `ddpipe logs` has more\n" } else { "" };
        cut.to_string() + &work.log.iter().map(|line| format!("{line}\n")).collect::<String>()
    });
    let failure = facts.failure.as_ref().map_or(String::new(), |failure| {
        let hint = failure.hint.as_ref().map_or(String::new(), |hint| format!("\n{hint}"));
        format!("{}{hint}", failure.message)
    });
    let log = match &facts.failure {
        Some(failure) if log.is_empty() => failure.log.join("\n"),
        _ => log,
    };
    Proof {
        id: format!("n{}", node.id.0),
        address: node.address(),
        standing: facts.standing,
        results: main_results(subject, node),
        facts: circumstances(subject, node),
        settings: settings(subject.pipeline, node),
        inputs: inputs(subject, node),
        outputs: record.map(outputs).unwrap_or_default(),
        metrics: record.map(|record| metrics(subject, node, record)).unwrap_or_default(),
        failure,
        log,
    }
}

/// The results that its kind declares as those to look at; of a kind that declares none, the first one.
pub fn main_results(subject: &Subject, node: &Node) -> String {
    let Some(record) = subject.record(node.id) else { return String::new() };
    let kind = subject.pipeline.catalog.declaration(&node.kind);
    let unit = |name: &str| kind.and_then(|kind| kind.metric(name, &node.params)?.unit.as_deref());
    let leads = |name: &str| kind.is_some_and(|kind| kind.metric(name, &node.params).is_some_and(|it| it.headline));
    let words = |(name, value): (&String, &f64)| format!("{name} {}", measured(*value, unit(name)));
    let mut leading: Vec<String> = record.metrics.iter().filter(|(name, _)| leads(name)).map(words).collect();
    if leading.is_empty() {
        leading.extend(record.metrics.iter().next().map(words));
    }
    leading.join(", ")
}

fn circumstances(subject: &Subject, node: &Node) -> Vec<Pair> {
    let facts = subject.facts(node.id);
    let mut pairs = Vec::new();
    let mut add = |name: &str, value: String| pairs.push(Pair::of(name, value));
    add("outcome", facts.standing.word().to_string());
    if !facts.reasons.is_empty() {
        let verb = if facts.standing == Standing::NotOnRecord { "would run because" } else { "ran because" };
        add(verb, facts.reasons.join(", "));
    }
    let kind = subject.pipeline.catalog.declaration(&node.kind);
    add("kind", kind.map_or(node.kind.clone(), |kind| format!("{} (version {})", node.kind, kind.version)));
    if kind.is_some_and(|kind| kind.seeded) {
        add("seed", node.seed.to_string());
    }
    let Some(record) = &facts.record else { return pairs };
    let made = &record.provenance;
    add("key", record.key.hex());
    if record.node != node.address || record.pipeline != subject.pipeline.name {
        add("first made by", format!("{} of pipeline {}", record.node, record.pipeline));
    }
    let when = when::long(when::since_1970(made.started_unix));
    add(
        "made",
        format!("{when}, in {} on {} ({}), host {}", duration(made.seconds), made.device, made.device_name, made.host),
    );
    if let Some(run) = &made.run {
        add("made by run", run.clone());
    }
    if let Some(bytes) = made.peak_memory {
        add("peak memory", size::show(bytes));
    }
    add("software", format!("ddpipe {}, libtorch {}", made.ddpipe, made.libtorch));
    if let Some(numerics) = &made.numerics {
        add("numerics", numerics.to_string());
    }
    if let Some(of) = &made.commit {
        add("commit", commit::in_words(of));
    }
    if !made.note.is_empty() {
        add("note", made.note.join("; "));
    }
    let file = subject.pipeline.file.file_name().unwrap_or_default().to_string_lossy();
    add("to see it", command::line(&["ddpipe".into(), "show".into(), file.into_owned(), node.address()]));
    pairs
}

fn inputs(subject: &Subject, node: &Node) -> Vec<Input> {
    let of = |(name, edges): (&String, &Vec<crate::pipeline::Edge>)| {
        let (mut links, mut rest) = (Vec::new(), Vec::new());
        for edge in edges.iter().take(INPUTS) {
            match &edge.from {
                Endpoint::Node { node, .. } => links.push(Link::to(subject.pipeline, *node)),
                Endpoint::Source { source, file } => rest.push(format!("{source}/{file}")),
            }
        }
        if edges.len() > INPUTS {
            rest.push(format!("and {} more", edges.len() - INPUTS));
        }
        (name.clone(), Input { name: String::new(), links, rest: rest.join(" ") })
    };
    let mut all: Vec<Input> =
        node.inputs.iter().map(of).map(|(name, input)| Input { name: format!("reads {name}"), ..input }).collect();
    let readers: Vec<_> = subject.graph.readers(node.id).collect();
    if !readers.is_empty() {
        let links = readers.iter().take(INPUTS).map(|reader| Link::to(subject.pipeline, *reader)).collect();
        let more = readers.len().saturating_sub(INPUTS);
        let rest = if more > 0 { format!("and {more} more") } else { String::new() };
        all.push(Input { name: "is read by".into(), links, rest });
    }
    all
}

fn outputs(record: &Record) -> Vec<[String; 4]> {
    let of = |(name, output): (&String, &ddpipe_cache::Output)| {
        [name.clone(), output.artifact_type.clone(), size::show(output.bytes), output.digest.short()]
    };
    record.outputs.iter().map(of).collect()
}

fn metrics(subject: &Subject, node: &Node, record: &Record) -> Vec<Pair> {
    let kind = subject.pipeline.catalog.declaration(&node.kind);
    let unit = |name: &str| kind.and_then(|kind| kind.metric(name, &node.params)?.unit.as_deref());
    record.numbers().iter().map(|(name, value)| Pair::of(name, measured(*value, unit(name)))).collect()
}
