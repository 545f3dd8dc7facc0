//! The record of a table: the one that is there, or the one that its stage makes now. Nothing else runs: what the table
//! shows has to be on record.

use crate::cli::allow::{self, Commands};
use crate::cli::interrupts::{Manner, Signals};
use crate::cli::project::Project;
use crate::cli::{absence, listed};
use crate::commit;
use crate::event::{Outcome, Status};
use crate::executor::{Local, LocalSettings};
use crate::exit::{Exit, Fault};
use crate::memory;
use crate::note::say;
use crate::pipeline::{Node, NodeId};
use crate::plan::{Plan, Planner, Verdict};
use crate::progress;
use crate::schedule::{Interrupts, Patience, Run, Scheduler, Sharing, Summary};
use crate::slots::Slots;
use crate::sources;
use ddpipe_cache::Record;
use std::sync::Arc;

/// A table takes a moment; nothing of it is saved on the way.
const CHECKPOINT_SECONDS: u64 = 3600;

/// The record of the table at this address, which is selected.
///
/// # Errors
/// What it shows is not on record; the stage failed; those of the cache.
pub fn record(project: &Project, address: &str, slots: Slots, allowed: Option<Commands>) -> Result<Arc<Record>, Fault> {
    let gone = || Fault::usage(format!("{address} is no node of the manifest with these options"));
    let table = project.pipeline.nodes.iter().find(|node| node.address() == address).ok_or_else(gone)?;
    let sources = sources::look(&project.pipeline, &project.cache, &project.needed())?;
    absence::say(&sources);
    let mut planner = project.planner(&sources)?;
    let plan = planner.plan();
    let lacking = lacking(project, table, &plan, &mut planner)?;
    if !lacking.is_empty() {
        let (count, names) = (lacking.len(), listed(&lacking));
        say(format!("{address}: made without what is not on record: {names} ({count} of what it shows)"));
    }
    let verdict = planner.verdict(table.id, &|read| fresh(&plan, read));
    match verdict {
        Verdict::Fresh(record) => return Ok(record),
        Verdict::Unreadable { error } => return Err(Fault { exit: Exit::Cache, message: error.to_string() }),
        Verdict::Run { .. } => allow::check(project, allowed, std::iter::once(table.id))?.iter().for_each(say),
        _ => return Err(not_on_record(project, address, &lacking)),
    }
    let interrupts = Interrupts::default();
    let signals = Signals::listen(&interrupts, Manner::Computes)?;
    let stop = interrupts.clone();
    let mut executor = Local::new(LocalSettings {
        threads: slots.threads,
        slots: slots.names,
        cache: project.cache.root().to_path_buf(),
        memory_budget: memory::budget(1, 1),
        checkpoint_seconds: CHECKPOINT_SECONDS,
    });
    let run = Run {
        pipeline: &project.pipeline,
        graph: &project.graph,
        planner: &mut planner,
        cache: &project.cache,
        sources: &sources,
        executor: &mut executor,
        observer: &mut progress::Quiet,
        interrupts,
        keep_going: false,
        name: None,
        commit: commit::of(&project.pipeline.root),
        patience: Patience::of_environment(None),
        sharing: Sharing::default(),
        peers: None,
    };
    let summary = Scheduler::new(run, |_| 0.0).run();
    project.cache.finish_sending(&mut || stop.count() == 0)?;
    signals.over();
    made(&summary, table, &signals)
}

/// The record that the stage left, or why it left none.
fn made(summary: &Summary, table: &Node, signals: &Signals) -> Result<Arc<Record>, Fault> {
    if let Some((_, record)) = summary.records.iter().find(|(id, _)| *id == table.id) {
        return Ok(record.clone());
    }
    let address = table.address();
    if summary.interrupted {
        return Err(Fault { exit: signals.first(), message: format!("{address}: interrupted") });
    }
    let of_table = |outcome: &&Outcome| outcome.node == address && outcome.status == Status::Failed;
    let failure = summary.outcomes.iter().find(of_table).and_then(|outcome| outcome.failure.as_ref());
    let message = failure.map_or("it has no result".to_string(), |failure| {
        let log: String = failure.log.iter().map(|line| format!("\n  | {line}")).collect();
        let hint = failure.hint.as_ref().map_or(String::new(), |hint| format!("\n  {hint}"));
        format!("{}{hint}{log}", failure.message)
    });
    Err(Fault { exit: Exit::Stage, message: format!("{address}: {message}") })
}

fn fresh(plan: &Plan, node: NodeId) -> Option<Arc<Record>> {
    match plan.verdicts.get(node.index()) {
        Some(Verdict::Fresh(record)) => Some(record.clone()),
        _ => None,
    }
}

/// The addresses of what the table shows and can do without; nothing of it is run.
///
/// # Errors
/// The table needs something that is not on record.
fn lacking(project: &Project, table: &Node, plan: &Plan, planner: &mut Planner) -> Result<Vec<String>, Fault> {
    let address = |id: &NodeId| project.pipeline.node(*id).address();
    let (there, lost): (Vec<NodeId>, Vec<NodeId>) = {
        let mut reads: Vec<NodeId> = planner.reads(table.id).collect();
        reads.sort();
        reads.dedup();
        let is_there =
            |id: &NodeId| matches!(plan.verdicts.get(id.index()), Some(Verdict::Fresh(_) | Verdict::LeftOut { .. }));
        reads.into_iter().partition(is_there)
    };
    let lost_names: Vec<String> = lost.iter().map(address).collect();
    if !lost.is_empty() && (there.is_empty() || !lost.iter().all(|read| planner.can_do_without(table.id, *read))) {
        return Err(not_on_record(project, &table.address(), &lost_names));
    }
    for node in &project.pipeline.nodes {
        let is_there = fresh(plan, node.id).is_some();
        if node.id != table.id && planner.needed(node.id) && !is_there {
            planner.give_up(node.id);
        }
    }
    Ok(lost_names)
}

/// What the table shows is not there: which nodes, and the command that makes them.
fn not_on_record(project: &Project, address: &str, lacking: &[String]) -> Fault {
    let command = project.invocation.command_with(&[address.to_string()]);
    let count = lacking.len();
    let (what, them) = match count {
        1 => ("a result that it shows is".to_string(), "it"),
        _ => (format!("{count} of the results that it shows are"), "them"),
    };
    let names = listed(lacking);
    let message = format!("{address}: {what} not on record: {names}\n  `{command}` makes {them}");
    Fault { exit: Exit::Stage, message }
}
