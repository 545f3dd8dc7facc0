//! `ddpipe logs NODE`: what a stage said in a run, of runs that are over and of one that goes on.

use super::place::CacheArgs;
use super::{Done, print};
use crate::catalog::Catalog;
use crate::exit::{Exit, Fault};
use crate::load::load;
use crate::manifest::Overrides;
use crate::selector::Selector;
use crate::told::{self, JOURNAL, LIVE, Line, Tail, Told, Which};
use crate::visible::visible;
use ddpipe_cache::{Cache, RunSeen};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// Print what a stage said.
#[derive(Debug, clap::Args)]
#[command(override_usage = "ddpipe logs [OPTIONS] [MANIFEST] <NODE>")]
pub struct Args {
    /// The node, or a pattern: distill[method=dm]; before it a manifest, to look at the runs of its pipeline alone
    #[arg(required = true, num_args = 1..=2, value_names = ["MANIFEST", "NODE"])]
    node: Vec<String>,
    /// In this run, or the one whose name begins like this [default: the newest in which the node was at work]
    #[arg(long, value_name = "ID")]
    run: Option<String>,
    /// Go on printing while the run goes on
    #[arg(long, short)]
    follow: bool,
    /// The cache's folder [default: .ddpipe in the project's folder, or here]
    #[arg(long, value_name = "DIR", env = "DDPIPE_CACHE")]
    cache: Option<PathBuf>,
}

/// Between two looks at the log of a run that goes on.
const LOOK: Duration = Duration::from_millis(100);

pub(super) fn run(args: Args) -> Done {
    let (manifest, node) = match args.node.as_slice() {
        [manifest, node] => (Some(Path::new(manifest)), node),
        [manifest] if manifest.ends_with(".toml") => {
            let message =
                format!("logs {manifest}: name a node behind the manifest\n  ddpipe graph {manifest} lists them");
            return Err(Fault::usage(message));
        }
        [node] => (None, node),
        _ => return Err(Fault::usage("name a node")),
    };
    let selector: Selector = node.parse().map_err(|error| Fault::usage(format!("logs {node}: {error}")))?;
    let pipeline = match manifest {
        Some(manifest) => Some(load(manifest, &Overrides::default(), Catalog::built_in()?)?),
        None => None,
    };
    let beside = || pipeline.as_ref().map(|pipeline| pipeline.root.join(".ddpipe"));
    let cache = CacheArgs::named(args.cache.clone().or_else(beside)).open()?;
    let name = pipeline.as_ref().map(|pipeline| pipeline.name.as_str());
    let which = Which::Matching(&selector);
    let told = match (&args.run, args.follow) {
        (Some(id), _) => {
            let run = run_named(&cache, id)?;
            Some(Told { lines: told::of(&run.path, which), run })
        }
        (None, true) => at_work(&cache, name, which)?,
        (None, false) => None,
    };
    let told = match told {
        Some(told) => told,
        None => told::newest(&cache.runs()?, name, which).ok_or_else(|| nothing(node, "no run has run"))?,
    };
    // What a pilot did is a part of its run, and others did the rest.
    if let (Some(whole), None, false) = (&told.run.part_of, &args.run, args.follow) {
        return super::runs::log::run(&cache, whole, node);
    }
    if told.lines.is_empty() && !(args.follow && told.run.running.is_some()) {
        return Err(nothing(node, &format!("run {} has told nothing of", told.run.id)));
    }
    if args.follow && told.run.running.is_some() {
        follow(&cache, &told.run, which)
    } else {
        print(&visible(&text(&told)))
    }
}

fn nothing(node: &str, what: &str) -> Fault {
    let message = format!("{what} {node}\n  `ddpipe runs` lists the runs");
    Fault { exit: Exit::Stage, message }
}

fn run_named(cache: &Cache, id: &str) -> Result<RunSeen, Fault> {
    let mut runs: Vec<RunSeen> = cache.runs()?.into_iter().filter(|run| run.id.starts_with(id)).collect();
    match runs.len() {
        1 => Ok(runs.remove(0)),
        0 => Err(Fault::usage(format!("there is no run {id:?}\n  `ddpipe runs` lists them"))),
        _ => {
            let names: Vec<&str> = runs.iter().map(|run| run.id.as_str()).collect();
            Err(Fault::usage(format!("{id:?} may be any of the runs {}", names.join(", "))))
        }
    }
}

/// The newest run that goes on and in which one of these nodes has not ended.
fn at_work(cache: &Cache, pipeline: Option<&str>, which: Which<'_>) -> Result<Option<Told>, Fault> {
    let going = |run: &RunSeen| run.running.is_some() && pipeline.is_none_or(|name| run.pipeline == name);
    for run in cache.runs()?.into_iter().rev().filter(going) {
        let lines = told::of(&run.path, which);
        if lines.is_empty() || lines.iter().any(|line| is_open(&lines, &line.node)) {
            return Ok(Some(Told { run, lines }));
        }
    }
    Ok(None)
}

fn is_open(lines: &[Line], node: &str) -> bool {
    !lines.iter().any(|line| line.node == node && line.status().is_some())
}

/// What a run told, node after node.
pub(super) fn text(told: &Told) -> String {
    let mut nodes: Vec<&str> = Vec::new();
    for line in &told.lines {
        if !nodes.contains(&line.node.as_str()) {
            nodes.push(&line.node);
        }
    }
    let mut text = String::new();
    for node in nodes {
        let run = match &told.run.part_of {
            Some(whole) => format!("run {whole}, pilot in {}", told.run.id),
            None => format!("run {}", told.run.id),
        };
        text.push_str(&format!("{node}, {run}\n"));
        for line in told.lines.iter().filter(|line| line.node == node) {
            text.push_str(&words(line).map_or(String::new(), |words| format!("  {words}\n")));
        }
        if is_open(&told.lines, node) {
            let state = if told.run.running.is_some() { "is running" } else { "did not end: the run was killed" };
            text.push_str(&format!("  ({state})\n"));
        }
    }
    text
}

/// A line of a journal as a line for people, if it has anything to say.
fn words(line: &Line) -> Option<String> {
    let field = |name: &str| line.event[name].as_str().unwrap_or_default();
    Some(match line.name() {
        "started" => {
            let told = serde_json::from_value::<Vec<crate::reason::Reason>>(line.event["reasons"].clone());
            let reasons: Vec<String> = told.unwrap_or_default().iter().map(|reason| reason.to_string()).collect();
            format!("(started on {}: {})", field("slot"), reasons.join(", "))
        }
        "log" if field("level") == "warn" => format!("warning: {}", field("text")),
        "log" => field("text").to_string(),
        "log_left_out" => format!("({} lines were not kept)", line.event["lines"]),
        "retried" => format!("(attempt {} failed: {})", line.event["failed"], field("message")),
        "silent" => format!("(no word of it for {:.0} s)", line.event["seconds"].as_f64().unwrap_or_default()),
        "finished" => match (line.status().unwrap_or_default(), line.event["failure"]["message"].as_str()) {
            ("fresh", _) => "(was on record and did not run)".to_string(),
            ("ran", _) => format!("(done in {:.1} s)", line.event["seconds"].as_f64().unwrap_or_default()),
            (status, message) => {
                let hint = line.event["failure"]["hint"].as_str().map_or(String::new(), |hint| format!("\n  {hint}"));
                format!("({status}) {}{hint}", message.unwrap_or_default())
            }
        },
        _ => return None,
    })
}

/// Prints what is told, as it is told, until the nodes or the run have ended.
fn follow(cache: &Cache, run: &RunSeen, which: Which<'_>) -> Done {
    let mut journal = Tail::of(&run.path.join(JOURNAL));
    let mut live = Tail::of(&run.path.join(LIVE[1]));
    let (mut open, mut said): (HashSet<String>, HashSet<String>) = (HashSet::new(), HashSet::new());
    loop {
        // Looked up first: what was written before the end is read after it.
        let running = cache.runs()?.iter().any(|seen| seen.id == run.id && seen.running.is_some());
        let (told, more) = (journal.lines(), live.lines());
        for line in told.iter().chain(&more).filter_map(|text| Line::parse(text)).filter(|line| which.means(&line.node))
        {
            // At its end the journal repeats the last lines that were followed already.
            if line.name() == "log" && !said.insert(line.event.to_string()) {
                continue;
            }
            // Far more than the journal repeats.
            if said.len() > 10_000 {
                said.clear();
            }
            match line.status() {
                Some(_) => open.remove(&line.node),
                None => open.insert(line.node.clone()),
            };
            if let Some(words) = words(&line) {
                print(&visible(&format!("{}: {words}\n", line.node)))?;
            }
            if line.status().is_some() && open.is_empty() {
                return Ok(Exit::Ok);
            }
        }
        if !running {
            return Ok(Exit::Ok);
        }
        thread::sleep(LOOK);
    }
}
