//! `ddpipe diff`: what settings would change, compared with the manifest as it is written. Computes nothing.

use super::project::{ManifestArgs, OverArgs, PickArgs, Planned, Project};
use super::remote::RemoteArgs;
use super::{Done, complete, plan, print};
use crate::change::{self, Change, changes, described};
use crate::exit::{Exit, Fault};
use crate::pipeline::NumericsMode;
use crate::plan::Verdict;
use crate::progress::count;
use crate::slots::{self, Slots};
use crate::table::Table;
use crate::visible::visible;
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter};
use serde_json::json;
use std::path::PathBuf;

/// Say what settings would run that the manifest as it is written does not.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The manifest
    #[arg(add = ArgValueCompleter::new(complete::manifests()))]
    manifest: PathBuf,
    /// Only these nodes and what they need, named as for --select [default: all]
    #[arg(value_name = "NODE", add = ArgValueCandidates::new(complete::nodes))]
    nodes: Vec<String>,
    #[command(flatten)]
    over: OverArgs,
    /// The cache's folder [default: .ddpipe in the project's folder]
    #[arg(long, value_name = "DIR", env = "DDPIPE_CACHE")]
    cache: Option<PathBuf>,
    /// A second cache, which is only read: what the first lacks is copied from it
    #[arg(long, value_name = "DIR", env = "DDPIPE_CACHE_FROM")]
    cache_from: Option<PathBuf>,
    #[command(flatten)]
    remote: RemoteArgs,
    /// Plan for this device: auto, cpu, cuda, cuda:0
    #[arg(long, value_name = "DEVICE", default_value = "auto", env = "DDPIPE_DEVICE")]
    device: String,
    /// Whether libraries, instruction set, threads and device enter the keys [default: as the manifest says]
    #[arg(long, value_name = "MODE")]
    numerics: Option<NumericsMode>,
    /// End with exit code 1 when a node changes
    #[arg(long)]
    exit_code: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> Done {
    if args.over.set.is_empty() {
        let manifest = args.manifest.display();
        return Err(Fault::usage(format!(
            "there is nothing to compare: name a setting with --set, as in --set vars.ipc=50\n  --profile holds for both sides; \
             `ddpipe runs compare {manifest} {manifest}@NAME` compares a profile with the manifest without it"
        )));
    }
    let slots = slots::find(&args.device, None, None)?;
    let now = args.project(args.over.set.clone(), args.nodes.clone(), &slots)?;
    // A setting may bring the nodes that are named.
    let was = match args.project(Vec::new(), args.nodes.clone(), &slots) {
        Err(_) if !args.nodes.is_empty() => args.project(Vec::new(), Vec::new(), &slots)?,
        project => project?,
    };
    let (before, after) = (was.planned()?, now.planned()?);
    let (changed, same) = changes(of(&was, &before), of(&now, &after));
    match args.json {
        true => print(&format!("{:#}\n", as_json(&args, &changed, same)))?,
        false => print(&visible(&in_words(&now, &after, &changed, same)))?,
    };
    // As with git: 1 is no error here.
    Ok(if args.exit_code && !changed.is_empty() { Exit::Stage } else { Exit::Ok })
}

fn of<'a>(project: &'a Project, planned: &'a Planned) -> change::Planned<'a> {
    change::Planned { pipeline: &project.pipeline, plan: &planned.plan }
}

impl Args {
    fn project(&self, set: Vec<String>, select: Vec<String>, slots: &Slots) -> Result<Project, Fault> {
        let args = ManifestArgs {
            manifest: Some(self.manifest.clone()),
            from_run: None,
            over: OverArgs { set, ..self.over.clone() },
            cache: self.cache.clone(),
            cache_from: self.cache_from.clone(),
            remote: self.remote.clone(),
            picks: PickArgs { select, force: Vec::new() },
            numerics: self.numerics,
        };
        args.open(slots)
    }
}

/// The key of an action in a few letters, where it is known.
fn key(verdict: Option<&Verdict>) -> String {
    match verdict.map(described) {
        Some(Some((key, _))) => key.short(),
        Some(None) => "not known yet".into(),
        None => "-".into(),
    }
}

fn in_words(now: &Project, after: &Planned, changed: &[Change<'_>], same: usize) -> String {
    let stay = match same {
        0 => String::new(),
        1 => "; 1 node stays as written".to_string(),
        same => format!("; {same} nodes stay as written"),
    };
    if changed.is_empty() {
        return format!("nothing changes{stay}\n");
    }
    let mut table = Table::new(["", "node", "key as written", "key now", "because"]);
    for change in changed {
        let word = change.now.map_or("gone", plan::word);
        let (was, now) = (key(change.was), key(change.now));
        table.row(vec![word.into(), change.node.clone(), was, now, change.because.join(", ")]);
    }
    let count_of =
        |test: fn(&Verdict) -> bool| changed.iter().filter_map(|change| change.now).filter(|it| test(it)).count();
    let runs = count_of(|verdict| matches!(verdict, Verdict::Run { .. }));
    let waits = count_of(|verdict| matches!(verdict, Verdict::Waiting { .. } | Verdict::Missing { .. }));
    let fresh = count_of(|verdict| matches!(verdict, Verdict::Fresh(_)));
    let parts = [(runs, "would run"), (waits, "waiting for nodes before"), (fresh, "on record with these settings")];
    let parts: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    let parts = if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) };
    let mut text = table.text();
    text.push_str(&format!("{} changed{parts}{stay}\n", count(changed.len(), "node")));
    let expected = now.expected(&after.plan);
    let affected = expected.iter().filter(|(id, _)| changed.iter().any(|change| change.id == Some(*id)));
    text.push_str(&plan::in_all(affected.map(|(_, estimate)| estimate)));
    text
}

fn as_json(args: &Args, changed: &[Change<'_>], same: usize) -> serde_json::Value {
    let word = |verdict: Option<&Verdict>| verdict.map(plan::word);
    let key = |verdict: Option<&Verdict>| verdict.and_then(described).map(|(key, _)| key.hex());
    let changes = changed.iter().map(|change| {
        json!({
            "node": change.node,
            "as_written": word(change.was),
            "with_settings": word(change.now),
            "key_as_written": key(change.was),
            "key": key(change.now),
            "params": change.params,
            "because": change.because,
        })
    });
    json!({ "set": args.over.set, "profile": args.over.profile, "changes": changes.collect::<Vec<_>>(), "unchanged": same })
}
