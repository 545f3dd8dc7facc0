//! `ddpipe plan`: what `run` would do, and why, without doing it.

use super::project::{PlanArgs, Planned, Project};
use super::run::on::{On, work};
use super::{Done, absence, print};
use crate::estimate::Estimate;
use crate::exit::Fault;
use crate::pipeline::{NodeId, Pipeline};
use crate::plan::Verdict;
use crate::standing::{Standing, Unfinished};
use crate::{progress, size};
use indexmap::IndexMap;
use serde_json::json;
use std::collections::HashMap;

/// Say what would run.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    plan: PlanArgs,
    /// Plan for the pilots of a machine of the settings, and say how many there would be
    #[arg(long, value_name = "MACHINE")]
    on: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> Done {
    let on = args.on.as_deref().map(|named| On::find(named, args.plan.settings())).transpose()?.flatten();
    let opened = on.as_ref().map_or_else(|| args.plan.open(), |on| args.plan.open_on(&on.pilot.slots()));
    let project = super::kept(opened?);
    let planned = super::kept(project.planned()?);
    let unfinished = Unfinished::of(&project.cache)?;
    let prospect =
        Prospect { project, planned, unfinished, expected: project.expected(&planned.plan).into_iter().collect() };
    match args.json {
        true => print(&format!("{}\n", as_json(&prospect))),
        false => {
            let pilots = on.map(|on| pilots(&prospect, &on)).transpose()?.unwrap_or_default();
            print(&crate::visible::visible(&(in_words(&prospect)? + &pilots)))
        }
    }
}

/// How many pilots there would be.
fn pilots(prospect: &Prospect<'_>, on: &On) -> Result<String, Fault> {
    let seconds = |(node, guess): (&NodeId, &Option<Estimate>)| (*node, guess.map(|guess| guess.seconds));
    let expected: IndexMap<NodeId, Option<f64>> = prospect.expected.iter().map(seconds).collect();
    if expected.is_empty() {
        return Ok(String::new());
    }
    let guesses: Vec<_> = prospect.expected.iter().map(|(node, guess)| (*node, *guess)).collect();
    let on = on.fit(&prospect.project.pipeline, &guesses)?;
    let pilots = on.pilots(work(&prospect.project.graph, &expected), None, None);
    let noun = if pilots == 1 { "pilot" } else { "pilots" };
    Ok(format!("{pilots} {noun} of {} ({})\n", on.address(), on.pilot.words()))
}

/// What is known of the nodes of a plan before they run.
struct Prospect<'a> {
    project: &'a Project,
    planned: &'a Planned,
    unfinished: Unfinished,
    expected: HashMap<NodeId, Option<Estimate>>,
}

impl Prospect<'_> {
    fn guess(&self, node: NodeId) -> Option<Estimate> {
        self.expected.get(&node).copied().flatten()
    }

    fn standing(&self, node: NodeId) -> Option<Standing> {
        standing(&self.unfinished, &self.project.pipeline, node, self.planned.plan.verdicts.get(node.index())?)
    }
}

fn as_json(prospect: &Prospect<'_>) -> serde_json::Value {
    let Prospect { project, planned, .. } = prospect;
    let verdicts = planned.plan.verdicts.iter().zip(&project.pipeline.nodes);
    let told = verdicts.filter(|(verdict, _)| !matches!(verdict, Verdict::NotSelected)).map(|(verdict, node)| {
        let why = why(&project.pipeline, verdict);
        // As the status of its outcome.
        let word = if matches!(verdict, Verdict::LeftOut { .. }) { "left_out" } else { word(verdict) };
        let guess = prospect.guess(node.id);
        let (seconds, memory) = (guess.map(|guess| guess.seconds), guess.and_then(|guess| guess.memory));
        let mut told =
            json!({ "node": node.address(), "verdict": word, "why": why, "seconds": seconds, "memory": memory });
        match prospect.standing(node.id) {
            Some(Standing::AtWork(holder)) => told["running_in"] = json!(holder.to_string()),
            Some(Standing::Continues(step)) => told["continues"] = json!(step),
            None => {}
        }
        told
    });
    told.collect()
}

fn in_words(prospect: &Prospect<'_>) -> Result<String, crate::exit::Fault> {
    let Prospect { project, planned, .. } = prospect;
    let Planned { plan, sources, .. } = planned;
    let mut text = String::new();
    let width = project.pipeline.nodes.iter().map(|node| node.address().len()).max().unwrap_or(0).min(60);
    for (verdict, node) in plan.verdicts.iter().zip(&project.pipeline.nodes) {
        if !matches!(verdict, Verdict::NotSelected) {
            let standing = prospect.standing(node.id).map_or(String::new(), |standing| format!("; {standing}"));
            let (why, takes) = (why(&project.pipeline, verdict), takes(prospect.guess(node.id)));
            let line = format!("{:8}{:width$}  {why}{standing}{takes}", word(verdict), node.address());
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    if !sources.missing.is_empty() {
        text.push_str(&missing(project, planned)?);
    }
    text.push_str(&summary(planned));
    text.push_str(&in_all(prospect.expected.values()));
    Ok(text)
}

/// What is to be done about files that are not there, and what is left out or taken from records for want of them.
fn missing(project: &Project, planned: &Planned) -> Result<String, crate::exit::Fault> {
    let Planned { plan, needed, sources } = planned;
    let mut text = String::new();
    let planner = project.planner(sources)?;
    let demand = planner.demand(plan, needed);
    for missing in &sources.missing {
        let demanded = demand.contains_key(&(missing.source.clone(), missing.file.clone()));
        if demanded && (missing.downloadable || !missing.optional) {
            let how = if missing.downloadable { "run downloads it" } else { "it has to be put there" };
            let obtain = missing.obtain.as_ref().filter(|_| !missing.downloadable);
            let obtain = obtain.map_or(String::new(), |words| format!(": {words}"));
            text.push_str(&format!("source  {} is not at {}; {how}{obtain}\n", missing.name(), missing.path.display()));
        }
    }
    for note in absence::notes(project, &planner, plan, sources) {
        text.push_str(&format!("note    {}\n", note.replace('\n', "\n      ")));
    }
    Ok(text)
}

/// How much runs: what is sure, what is possible, and what is not to run.
fn summary(planned: &Planned) -> String {
    let Planned { plan, needed, .. } = planned;
    let count = |test: fn(&Verdict) -> bool| plan.verdicts.iter().filter(|verdict| test(verdict)).count();
    let runs = count(|verdict| matches!(verdict, Verdict::Run { .. }));
    let waits = count(|verdict| matches!(verdict, Verdict::Waiting { .. }));
    let mut parts = vec![match (runs, waits) {
        (runs, 0) => format!("{runs} to run"),
        (runs, waits) => {
            format!("{runs} to run now, up to {waits} more after {}", if runs == 1 { "it" } else { "them" })
        }
    }];
    let others = [
        (count(|verdict| matches!(verdict, Verdict::Missing { .. })), "kept from running by a missing source file"),
        (count(|verdict| matches!(verdict, Verdict::Unreadable { .. })), "unknown, as the cache cannot be read"),
        (count(|verdict| matches!(verdict, Verdict::LeftOut { .. })), "left out"),
    ];
    parts.extend(others.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")));
    parts.push(format!("{} on record", count(|verdict| matches!(verdict, Verdict::Fresh(_)))));
    let unasked =
        needed.iter().zip(&plan.verdicts).filter(|(may, verdict)| **may && matches!(verdict, Verdict::NotSelected));
    match unasked.count() {
        0 => {}
        count => parts.push(format!("{count} only if a search asks for them")),
    }
    format!("{}\n", parts.join(", "))
}

fn standing(unfinished: &Unfinished, pipeline: &Pipeline, id: NodeId, verdict: &Verdict) -> Option<Standing> {
    let Verdict::Run { action, .. } = verdict else { return None };
    unfinished.standing(action.key, pipeline.catalog.declaration(&pipeline.node(id).kind)?.version)
}

/// What a node is expected to take, if that is known: ` (about 2 min, 1.2 GiB)`.
fn takes(guess: Option<Estimate>) -> String {
    let Some(Estimate { seconds, memory }) = guess else { return String::new() };
    let memory = memory.map_or(String::new(), |bytes| format!(", {}", size::show(bytes)));
    format!("  (about {}{memory})", progress::guess(seconds))
}

/// What all nodes are expected to take, one after the other.
pub(super) fn in_all<'a>(expected: impl Iterator<Item = &'a Option<Estimate>>) -> String {
    let (known, unknown): (Vec<&Option<Estimate>>, Vec<&Option<Estimate>>) =
        expected.partition(|guess| guess.is_some());
    let seconds = known.iter().filter_map(|guess| guess.as_ref()).map(|guess| guess.seconds);
    let seconds = progress::guess(seconds.sum());
    let nodes = progress::count(unknown.len(), "node");
    match (known.len(), unknown.len()) {
        (0, 0) => String::new(),
        (0, 1) => format!("time unknown for {nodes}: nothing of its kind is on record\n"),
        (0, _) => format!("time unknown for {nodes}: nothing of their kinds is on record\n"),
        (_, 0) => format!("about {seconds} of computing in all, by what earlier runs took\n"),
        _ => format!("about {seconds} of computing, by what earlier runs took; unknown for {nodes}\n"),
    }
}

pub(super) fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Fresh(_) => "fresh",
        Verdict::Run { .. } => "run",
        Verdict::Waiting { .. } | Verdict::Missing { .. } => "waits",
        Verdict::Unreadable { .. } => "error",
        Verdict::LeftOut { .. } => "without",
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
        Verdict::LeftOut { file } => format!("left out: {file} is not there"),
        Verdict::Unreadable { error } => error.to_string(),
        Verdict::Fresh(_) | Verdict::NotSelected => String::new(),
    }
}
