//! `ddpipe why NODE`: the verdict about a node, and what led to it, across the nodes before it.

use super::project::{PlanArgs, Planned, Project, selectors};
use super::{Done, absence, print};
use crate::cause::Causes;
use crate::pipeline::{Edge, Endpoint, Node, NodeId};
use crate::plan::Verdict;
use crate::reason::Reason;
use crate::standing::{Standing, Unfinished};
use crate::told::{self, Told, Which};
use crate::upstream::Asked;
use crate::when;
use ddpipe_cache::{Record, RunSeen};
use indexmap::IndexMap;

/// Explain a node.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    plan: PlanArgs,
    /// The node, or a pattern: distill[method=dm]
    #[arg(add = clap_complete::engine::ArgValueCandidates::new(super::complete::nodes))]
    node: Option<String>,
}

/// Causes and nodes that are said before the rest is counted.
const SHOWN: usize = 10;
/// Of so many nodes what the last runs told of them is looked up.
const LOOKED_UP: usize = 50;
/// Of so many nodes that run first the reasons are looked up.
const LOOKED_AT: usize = 300;

pub(super) fn run(mut args: Args) -> Done {
    let node = args.plan.node(args.node.take())?;
    let project = super::kept(args.plan.open()?);
    let wanted = selectors(&project.pipeline, &[node], "why")?;
    let Planned { plan, sources, .. } = super::kept(project.planned()?);
    absence::say(sources);
    let causes = Causes {
        pipeline: &project.pipeline,
        plan,
        sources,
        records: &project.cache,
        asked: Asked::at_most(usize::MAX),
    };
    let nodes = project.pipeline.nodes.iter().filter(|node| wanted.iter().any(|selector| node.matches(selector)));
    // The journals of runs are read for each node.
    let runs = if nodes.clone().count() <= LOOKED_UP { project.cache.runs()? } else { Vec::new() };
    let explainer = Explainer { project, causes, unfinished: Unfinished::of(&project.cache)?, runs };
    let mut text = String::new();
    for node in nodes {
        text.push_str(&format!("{}\n", node.address()));
        text.push_str(&explainer.explain(node));
    }
    print(&crate::visible::visible(&text))
}

struct Explainer<'a> {
    project: &'a Project,
    causes: Causes<'a>,
    unfinished: Unfinished,
    runs: Vec<RunSeen>,
}

impl Explainer<'_> {
    fn explain(&self, node: &Node) -> String {
        let mut text = String::new();
        let last = told::newest(&self.runs, Some(&self.project.pipeline.name), Which::Node(&node.address()));
        match &self.causes.plan.verdicts[node.id.index()] {
            Verdict::Fresh(record) => {
                text.push_str(&format!("  is on record under key {}\n", record.key.short()));
                text.push_str(&history(record));
                text.push_str(&why_it_ran(record, last.as_ref()));
                for (name, value) in &record.description {
                    let (value, from) = (self.described(node, name, value), self.set_by(node, name));
                    text.push_str(&format!("    {name} = {value}{from}\n"));
                }
            }
            Verdict::Run { action, reasons } => {
                text.push_str(&format!("  would run under key {}, because\n", action.key.short()));
                let (words, nearest) = self.causes.of(node.id, action, reasons);
                let tried = last.is_some() && *reasons == [Reason::NeverRan];
                let words = if tried { vec!["it never ran to its end".to_string()] } else { words };
                words.iter().for_each(|word| text.push_str(&format!("    {word}\n")));
                if let Some(standing) = self.standing(node.id) {
                    text.push_str(&format!("  {standing}\n"));
                }
                if let Some(record) = nearest {
                    text.push_str(&format!("  its nearest record is {}\n{}", record.key.short(), history(&record)));
                }
                text.push_str(&trouble(&action.key.hex(), node, last.as_ref()));
            }
            Verdict::Waiting { .. } => text.push_str(&self.waiting(node)),
            Verdict::Unreadable { error } => text.push_str(&format!("  cannot be told: {error}\n")),
            Verdict::Missing { file } => {
                text.push_str(&format!("  waits for the source file {file}, which is not there\n"));
            }
            Verdict::LeftOut { file } => text.push_str(&format!("  is left out: {file} is not there\n")),
            Verdict::NotSelected => text.push_str("  is not selected, and nothing selected asked for it\n"),
        }
        text
    }

    /// ` (from protocol dm)`, of a parameter that is set by the choice of another one.
    fn set_by(&self, node: &Node, name: &str) -> String {
        let kind = self.project.pipeline.catalog.declaration(&node.kind);
        let from = kind.zip(name.strip_prefix("param ")).and_then(|(kind, name)| kind.set_by(&node.params, name));
        from.map_or(String::new(), |(selector, choice)| format!(" (from {selector} {choice})"))
    }

    /// A value of a description; for an input that takes one, the node or file that is connected to it.
    fn described(&self, node: &Node, name: &str, value: &str) -> String {
        let edges = name.strip_prefix("input ").and_then(|name| node.inputs.get(name));
        let from = match edges.map(Vec::as_slice) {
            Some([Edge { from: Endpoint::Node { node, output }, .. }]) => {
                format!("{}.{output}", self.project.pipeline.node(*node).address())
            }
            Some([Edge { from: Endpoint::Source { source, file }, .. }]) => format!("source:{source}/{file}"),
            _ => return shorten(value),
        };
        format!("{from} ({})", value.get(..12).unwrap_or(value))
    }

    /// What a node waits for, back to the nodes that run first, those with the same reasons together.
    fn waiting(&self, node: &Node) -> String {
        let (roots, between) = self.causes.roots(node.id);
        let mut by_reason: IndexMap<String, Vec<NodeId>> = IndexMap::new();
        for root in roots.iter().take(LOOKED_AT) {
            by_reason.entry(self.reason(*root)).or_default().push(*root);
        }
        let mut text = String::from("  is decided after what it reads has run, because\n");
        for (reason, nodes) in by_reason.iter().take(SHOWN) {
            let first = nodes.first().map(|first| self.project.pipeline.node(*first).address()).unwrap_or_default();
            let more = if nodes.len() > 1 { format!(" and {} more", nodes.len() - 1) } else { String::new() };
            text.push_str(&format!("    {first}{more}: {reason}\n"));
        }
        let told: usize = by_reason.values().take(SHOWN).map(Vec::len).sum();
        if told < roots.len() {
            text.push_str(&format!("    and {} more nodes, for other reasons\n", roots.len() - told));
        }
        let nodes = |count: usize| if count == 1 { "1 node".to_string() } else { format!("{count} nodes") };
        let then = if between > 0 { format!(", and up to {} between", nodes(between)) } else { String::new() };
        text.push_str(&format!(
            "  {} {} first{then}; if they give the bytes they gave before, it does not run\n",
            nodes(roots.len()),
            if roots.len() == 1 { "runs" } else { "run" }
        ));
        text
    }

    /// Why a node that waits for nothing is not on record.
    fn reason(&self, node: NodeId) -> String {
        match &self.causes.plan.verdicts[node.index()] {
            Verdict::Run { action, reasons } => {
                let (words, nearest) = self.causes.of(node, action, reasons);
                let since = nearest.map_or(String::new(), |record| {
                    format!(" (since its record of {})", when::long(when::since_1970(record.provenance.started_unix)))
                });
                let standing = self.standing(node).map_or(String::new(), |standing| format!("; {standing}"));
                format!("{}{since}{standing}", words.join(", "))
            }
            Verdict::Missing { file } => format!("the source file {file} is not there"),
            Verdict::Unreadable { error } => format!("cannot be told: {error}"),
            _ => String::new(),
        }
    }

    fn standing(&self, node: NodeId) -> Option<Standing> {
        let Verdict::Run { action, .. } = &self.causes.plan.verdicts[node.index()] else { return None };
        let kind = self.project.pipeline.catalog.declaration(&self.project.pipeline.node(node).kind)?;
        self.unfinished.standing(action.key, kind.version)
    }
}

/// Why a record was made, where the last run of its node made it.
fn why_it_ran(record: &Record, last: Option<&Told>) -> String {
    let made = last.filter(|told| matches!(told.outcome(), Some(("ran", Some(key), _)) if key == record.key.hex()));
    let Some(told) = made else { return String::new() };
    let reasons: Vec<String> = told.reasons().iter().map(Reason::to_string).collect();
    if reasons.is_empty() {
        return String::new();
    }
    format!("    ran in run {}, because: {}\n", told.run.id, reasons.join(", "))
}

/// What went wrong when the node was tried last.
fn trouble(key: &str, node: &Node, last: Option<&Told>) -> String {
    let Some(told) = last else { return String::new() };
    let Some((status, tried, message)) = told.outcome() else { return String::new() };
    let other = if tried.is_some_and(|tried| tried != key) { ", with other settings" } else { "" };
    let message = message.and_then(|message| message.lines().next()).unwrap_or_default();
    let run = &told.run.id;
    match status {
        "failed" => {
            format!("  failed in run {run}{other}: {message}\n  see `ddpipe logs {}`\n", quoted(&node.address()))
        }
        "interrupted" => format!("  was interrupted in run {run}{other}\n"),
        _ => String::new(),
    }
}

/// An address as an argument of a shell.
fn quoted(address: &str) -> String {
    let plain = address.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-.,=".contains(letter));
    if plain { address.to_string() } else { format!("'{}'", address.replace('\'', "'\\''")) }
}

fn history(record: &Record) -> String {
    let made = &record.provenance;
    let made_at = when::long(when::since_1970(made.started_unix));
    let mut text = format!("    made by {} on {made_at} in {:.1} s on {}", record.node, made.seconds, made.device);
    if !made.device_name.is_empty() {
        text.push_str(&format!(" ({})", made.device_name));
    }
    let run = made.run.as_ref().map_or(String::new(), |run| format!(", run {run}"));
    text.push_str(&format!(", host {}, ddpipe {}{run}\n", made.host, made.ddpipe));
    for (name, source) in &record.sources {
        let verified = if source.verified { "as pinned" } else { "not verified" };
        text.push_str(&format!("    read {name}: blake3 {} ({verified})\n", source.digest.short()));
    }
    text
}

fn shorten(value: &str) -> String {
    match value.char_indices().nth(100) {
        Some((at, _)) => format!("{}…", &value[..at]),
        None => value.to_string(),
    }
}
