//! `ddpipe verify --recompute`: runs recorded nodes again, beside the cache, and compares what comes out with the records.

use super::super::allow;
use super::super::interrupts::{Manner, Signals};
use super::super::project::{Planned, Project};
use super::super::{Done, print};
use super::Args;
use crate::executor::{Local, LocalSettings};
use crate::exit::{Exit, Fault};
use crate::memory;
use crate::note::say;
use crate::pipeline::{Endpoint, NodeId};
use crate::plan::{Plan, Verdict};
use crate::program::Program;
use crate::recompute::{Comparison, Recompute, Recorded};
use crate::schedule::Interrupts;
use crate::selection;
use crate::slots;
use crate::sources::{self, Missing, Sources};
use ddpipe_cache::{Digest, Record};
use indexmap::IndexMap;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

pub(super) fn run(args: &Args, count: Option<usize>) -> Done {
    let slots = slots::find(&args.device, None, args.threads.map(usize::from))?;
    slots.check_devices()?;
    let project = args.manifest.open(&slots)?;
    let Planned { plan, sources, .. } = project.planned()?;
    let planner = project.planner(&sources)?;
    let chosen = chosen(count, &project, &plan, &sources)?;
    allow::check(&project, args.allow_commands, chosen.iter().map(|(node, _)| *node))?.iter().for_each(say);
    let beside = project.cache.beside("verify")?;
    let settings = LocalSettings {
        slots: slots.names[..1].to_vec(),
        cache: beside.cache().root().to_path_buf(),
        threads: slots.threads,
        memory_budget: memory::budget(1, 1),
        checkpoint_seconds: 3600,
    };
    let mut executor = Local::new(settings);
    let interrupts = Interrupts::default();
    let signals = Signals::listen(&interrupts, Manner::Computes)?;
    let mut recompute = Recompute {
        pipeline: &project.pipeline,
        cache: &project.cache,
        sources: &sources,
        beside: beside.cache(),
        executor: &mut executor,
        interrupts: interrupts.clone(),
    };
    let known = |read: NodeId| fresh(&plan, read).cloned();
    let mut exit = Exit::Ok;
    for (number, (node, record)) in (1..).zip(&chosen) {
        let address = project.pipeline.node(*node).address();
        let Ok(action) = planner.action(*node, &known) else {
            print(&format!("{address}: what it reads is no longer on record\n"))?;
            exit = worse(exit, Exit::Incomparable);
            continue;
        };
        let program: Option<&Program> = planner.program(&project.pipeline.node(*node).kind);
        let begun = Instant::now();
        let comparison = recompute.compare(number, &Recorded { node: *node, action, program, record })?;
        if interrupts.count() > 0 {
            return Ok(Exit::Interrupted);
        }
        let (words, outcome) = in_words(&comparison);
        print(&format!("{address}: {words} ({:.1} s)\n", begun.elapsed().as_secs_f64()))?;
        exit = worse(exit, outcome);
    }
    signals.over();
    Ok(exit)
}

/// The nodes to run again: those that `--select` names, or as many as asked for, of all that are on record. Those whose
/// source files are not there are refused where they are named, and else not drawn.
fn chosen<'a>(
    count: Option<usize>,
    project: &Project,
    plan: &'a Plan,
    sources: &Sources,
) -> Result<Vec<(NodeId, &'a Arc<Record>)>, Fault> {
    let select = &project.choice.select;
    let named = selection::selected(&project.pipeline, &project.graph, select);
    let wanted = |id: NodeId| select.is_empty() || named.contains(&id);
    let nodes = project.pipeline.nodes.iter().map(|node| node.id).filter(|id| wanted(*id));
    let mut recorded: Vec<_> = nodes.filter_map(|id| Some((id, fresh(plan, id)?))).collect();
    if recorded.is_empty() {
        return Err(Fault::usage("nothing of this is on record; `ddpipe run` makes it"));
    }
    let mut without: IndexMap<String, (&Missing, Vec<String>)> = IndexMap::new();
    for (id, _) in &recorded {
        for missing in lacking(project, sources, *id) {
            let address = project.pipeline.node(*id).address();
            without.entry(missing.name()).or_insert_with(|| (missing, Vec::new())).1.push(address);
        }
    }
    if !without.is_empty() {
        let there = recorded.len();
        recorded.retain(|(id, _)| lacking(project, sources, *id).next().is_none());
        let faults = without.values().map(|(missing, nodes)| sources::not_again(&project.pipeline, missing, nodes));
        let faults = faults.map(|fault| fault.to_string()).collect::<Vec<_>>().join("\n");
        if recorded.is_empty() || !select.is_empty() {
            return Err(Fault::usage(faults));
        }
        say(format!("not among those that are drawn, {} of {there}:\n{faults}", there - recorded.len()));
    }
    let count = count.unwrap_or(if select.is_empty() { 1 } else { usize::MAX });
    if count < recorded.len() {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
        let mut drawn: Vec<_> = recorded
            .into_iter()
            .map(|(id, record)| (Digest::of(format!("{now} {}", record.key).as_bytes()), id, record))
            .collect();
        drawn.sort_by_key(|(draw, ..)| *draw);
        drawn.truncate(count);
        drawn.sort_by_key(|(_, id, _)| id.index());
        recorded = drawn.into_iter().map(|(_, id, record)| (id, record)).collect();
    }
    Ok(recorded)
}

/// The source files that a node reads and that are not there.
fn lacking<'a>(project: &'a Project, sources: &'a Sources, id: NodeId) -> impl Iterator<Item = &'a Missing> {
    let edges = project.pipeline.node(id).inputs.values().flatten();
    edges.filter_map(|edge| match &edge.from {
        Endpoint::Source { source, file } => sources.missing(source, file),
        Endpoint::Node { .. } => None,
    })
}

fn fresh(plan: &Plan, id: NodeId) -> Option<&Arc<Record>> {
    match &plan.verdicts[id.index()] {
        Verdict::Fresh(record) => Some(record),
        _ => None,
    }
}

fn in_words(comparison: &Comparison) -> (String, Exit) {
    match comparison {
        Comparison::Equal => ("equal".into(), Exit::Ok),
        Comparison::Different { outputs } => {
            (format!("DIFFERENT: {} has other bytes under the same numerics", outputs.join(", ")), Exit::Stage)
        }
        Comparison::Incomparable { outputs, recorded, now, largest } => {
            let metrics = match largest {
                Some((name, difference)) => format!("metrics differ by at most {:.2} % ({name})", 100.0 * difference),
                None => "it has no metrics to compare".to_string(),
            };
            let outputs = outputs.join(", ");
            let words =
                format!("not comparable: {outputs} has other bytes; recorded with {recorded}, now {now}; {metrics}");
            (words, Exit::Incomparable)
        }
        Comparison::Failed(failure) => (format!("FAILED: {}", failure.message), Exit::Stage),
    }
}

/// A difference weighs more than what cannot be compared.
fn worse(one: Exit, other: Exit) -> Exit {
    match (one, other) {
        (Exit::Stage, _) | (_, Exit::Stage) => Exit::Stage,
        (Exit::Incomparable, _) | (_, Exit::Incomparable) => Exit::Incomparable,
        _ => Exit::Ok,
    }
}
