//! `ddpipe plan`: what `run` would do, and why, without doing it.

use super::project::{PlanArgs, Planned};
use super::{Done, print};
use crate::estimate::Estimate;
use crate::pipeline::{Node, NodeId, Pipeline};
use crate::plan::Verdict;
use crate::{progress, size};
use serde_json::json;
use std::collections::HashMap;

/// Say what would run.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    plan: PlanArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> Done {
    let project = args.plan.open()?;
    let Planned { plan, needed, sources } = project.planned()?;
    let expected: HashMap<NodeId, Option<Estimate>> = project.expected(&plan).into_iter().collect();
    let guess = |node: &Node| expected.get(&node.id).copied().flatten();
    if args.json {
        let nodes: Vec<_> = plan
            .verdicts
            .iter()
            .zip(&project.pipeline.nodes)
            .filter(|(verdict, _)| !matches!(verdict, Verdict::NotSelected))
            .map(|(verdict, node)| {
                let (guess, why) = (guess(node), why(&project.pipeline, verdict));
                let (seconds, memory) = (guess.map(|guess| guess.seconds), guess.and_then(|guess| guess.memory));
                json!({ "node": node.address(), "verdict": word(verdict), "why": why, "seconds": seconds, "memory": memory })
            })
            .collect();
        return print(&format!("{}\n", serde_json::Value::Array(nodes)));
    }
    let mut text = String::new();
    let width = project.pipeline.nodes.iter().map(|node| node.address().len()).max().unwrap_or(0).min(60);
    for (verdict, node) in plan.verdicts.iter().zip(&project.pipeline.nodes) {
        if !matches!(verdict, Verdict::NotSelected) {
            let why = why(&project.pipeline, verdict);
            let line = format!("{:8}{:width$}  {why}{}", word(verdict), node.address(), takes(guess(node)));
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    for missing in &sources.missing {
        let how = if missing.downloadable { "run downloads it" } else { "it has to be put there" };
        text.push_str(&format!("source  {} is not at {}; {how}\n", missing.name, missing.path.display()));
    }
    let (run, waiting, fresh) = plan.counts();
    let unasked =
        needed.iter().zip(&plan.verdicts).filter(|(may, verdict)| **may && matches!(verdict, Verdict::NotSelected));
    let unasked = match unasked.count() {
        0 => String::new(),
        count => format!(", {count} only if a search asks for them"),
    };
    text.push_str(&format!("{run} to run, {waiting} waiting for them, {fresh} on record{unasked}\n"));
    text.push_str(&in_all(expected.values()));
    print(&crate::visible::visible(&text))
}

/// What a node is expected to take, if that is known: ` (about 2 min, 1.2 GiB)`.
fn takes(guess: Option<Estimate>) -> String {
    let Some(Estimate { seconds, memory }) = guess else { return String::new() };
    let memory = memory.map_or(String::new(), |bytes| format!(", {}", size::show(bytes)));
    format!("  (about {}{memory})", progress::guess(seconds))
}

/// What all nodes are expected to take, one after the other.
fn in_all<'a>(expected: impl Iterator<Item = &'a Option<Estimate>>) -> String {
    let (known, unknown): (Vec<&Option<Estimate>>, Vec<&Option<Estimate>>) =
        expected.partition(|guess| guess.is_some());
    let seconds = known.iter().filter_map(|guess| guess.as_ref()).map(|guess| guess.seconds);
    let seconds = progress::guess(seconds.sum());
    let nodes = progress::count(unknown.len(), "node");
    match (known.len(), unknown.len()) {
        (0, 0) => String::new(),
        (0, _) => format!("time unknown for {nodes}: nothing of their kinds is on record\n"),
        (_, 0) => format!("about {seconds} of computing in all, by what earlier runs took\n"),
        _ => format!("about {seconds} of computing, by what earlier runs took; unknown for {nodes}\n"),
    }
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Fresh(_) => "fresh",
        Verdict::Run { .. } => "run",
        Verdict::Waiting { .. } | Verdict::Missing { .. } => "waits",
        Verdict::Unreadable { .. } => "error",
        Verdict::NotSelected => "left",
    }
}

fn why(pipeline: &Pipeline, verdict: &Verdict) -> String {
    match verdict {
        Verdict::Run { reasons, .. } => reasons.iter().map(|reason| reason.to_string()).collect::<Vec<_>>().join(", "),
        Verdict::Waiting { on } => {
            let names: Vec<String> = on.iter().take(3).map(|node| pipeline.node(*node).address()).collect();
            let more = if on.len() > 3 { format!(" and {} more", on.len() - 3) } else { String::new() };
            format!("for {}{more}", names.join(", "))
        }
        Verdict::Missing { file } => format!("for the source file {file}"),
        Verdict::Unreadable { error } => error.to_string(),
        Verdict::Fresh(_) | Verdict::NotSelected => String::new(),
    }
}
