//! One run: what it was started with, what ran and why, what went wrong, what came out, and the line that repeats it.

use super::super::{Done, print};
use super::{json, list};
use crate::command;
use crate::ended::{BesideBaseline, Ended, NodeEnded};
use crate::event::Status;
use crate::history::{self, Past};
use crate::number::significant;
use crate::progress::duration;
use crate::started::Started;
use crate::table::Table;
use crate::visible::visible;
use crate::when;
use ddpipe_cache::Cache;
use std::fmt::Write as _;

/// So many nodes that were on record are named.
const FRESH: usize = 12;

pub(super) fn run(cache: &Cache, wanted: &str, as_json: bool) -> Done {
    let past = Past::of(history::find(cache, wanted)?);
    let started = past.started();
    if as_json {
        let mut run = json::in_short(&past, started.as_ref());
        if let Some(fields) = run.as_object_mut() {
            fields.insert("outcome".into(), serde_json::to_value(past.ended()).unwrap_or_default());
            fields.insert("started".into(), serde_json::to_value(&started).unwrap_or_default());
        }
        return print(&format!("{run:#}\n"));
    }
    let mut text = head(&past, started.as_ref());
    if let Some(ended) = past.ended() {
        text.push_str(&body(ended));
    }
    let called = started.map(|started| started.command).unwrap_or_default();
    text.push_str(&format!("\nto run it again:\n  {}\n", command::again(cache, &past.seen.id, &called)));
    print(&visible(&text))
}

fn head(past: &Past, started: Option<&Started>) -> String {
    let mut text = String::new();
    let mut line = |what: &str, value: &str| text.push_str(&format!("{what:9} {value}\n"));
    line("run", &past.seen.id);
    match &past.seen.name {
        Some(name) => line("kept as", name),
        None if past.seen.kept => line("kept", "without a name"),
        None => {}
    }
    line("pipeline", &past.seen.pipeline);
    line("begun", &when::long(past.begun()));
    match past.ended() {
        Some(ended) => line("ended", &ending(ended)),
        None => line("state", &list::state(past)),
    }
    let Some(started) = started else {
        line("started", "its folder does not say how");
        return text;
    };
    line("manifest", &started.manifest.display().to_string());
    for (file, _) in started.files.iter().skip(1) {
        line("includes", &file.display().to_string());
    }
    line("command", &command::line(&started.command));
    line("in", &started.folder.display().to_string());
    for (name, value) in &started.env {
        line("with", &format!("{name}={value}"));
    }
    match &started.commit {
        Some(commit) if commit.dirty => line("commit", &format!("{}, with files that differ from it", commit.hash)),
        Some(commit) => line("commit", &commit.hash),
        None => line("commit", "none: not in a git repository"),
    }
    line("ddpipe", &started.ddpipe);
    text
}

fn ending(ended: &Ended) -> String {
    let exit = match ended.exit {
        0 => "well",
        1 => "with a failed stage (exit code 1)",
        2 => "for a fault of the manifest, a source or the command line (exit code 2)",
        3 => "for trouble with the cache or another file (exit code 3)",
        4 => missed(ended),
        129 => "with its terminal, which was closed (exit code 129)",
        130 => "interrupted (exit code 130)",
        143 => "from outside, by SIGTERM (exit code 143)",
        _ => "not well",
    };
    format!("{exit}, after {}", duration(ended.seconds))
}

/// What exit code 4 stands for.
fn missed(ended: &Ended) -> &'static str {
    let worse = ended.baseline.as_ref().is_some_and(|baseline| !baseline.worse.is_empty());
    match (ended.expectations.iter().any(|expected| !expected.met), worse) {
        (true, true) => "with a missed expectation and a result worse than its baseline (exit code 4)",
        (false, true) => "with a result worse than its baseline (exit code 4)",
        _ => "with a missed expectation (exit code 4)",
    }
}

fn body(ended: &Ended) -> String {
    let mut text = String::new();
    for fault in &ended.faults {
        let _ = write!(text, "\n{fault}\n");
    }
    let of = |status: Status| ended.nodes.iter().filter(move |(_, node)| node.status == status);
    ran(&mut text, &of(Status::Ran).collect::<Vec<_>>());
    let fresh: Vec<&str> = of(Status::Fresh).map(|(name, _)| name.as_str()).collect();
    if !fresh.is_empty() {
        let more = fresh.len().saturating_sub(FRESH);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let named = fresh.iter().take(FRESH).copied().collect::<Vec<_>>().join(", ");
        let _ = write!(text, "\n{} on record: {named}{more}\n", fresh.len());
    }
    for (name, node) in of(Status::Failed).chain(of(Status::Interrupted)) {
        failure(&mut text, name, node);
    }
    let skipped: Vec<&str> = of(Status::Skipped).map(|(name, _)| name.as_str()).collect();
    if !skipped.is_empty() {
        let _ = write!(text, "\n{} skipped: {}\n", skipped.len(), skipped.join(", "));
    }
    results(&mut text, ended);
    if !ended.expectations.is_empty() {
        text.push('\n');
    }
    for expected in &ended.expectations {
        let value = expected.value.map_or("not measured".into(), significant);
        let mark = if expected.met { "met" } else { "MISSED" };
        let (what, wanted, place) = (&expected.what, &expected.wanted, &expected.place);
        let _ = writeln!(text, "expect {what}: {value}, wanted {wanted}: {mark} ({place})");
    }
    if let Some(BesideBaseline { name, counts, worse }) = &ended.baseline {
        let _ = writeln!(text, "\nbaseline {name}: {counts}");
        for row in worse {
            let _ = writeln!(text, "  WORSE: {row}");
        }
    }
    if !ended.sources.is_empty() {
        text.push_str("\nsources\n");
    }
    for (name, seen) in &ended.sources {
        let verified = if seen.verified { "as pinned" } else { "not verified" };
        let _ = writeln!(text, "  {name}: blake3 {} ({verified}), {}", seen.digest.short(), seen.path.display());
    }
    if !ended.results.is_empty() {
        text.push_str("\nresults, as the run left them\n");
    }
    for file in &ended.results {
        let _ = writeln!(text, "  {}", file.display());
    }
    text
}

fn ran(text: &mut String, ran: &[(&String, &NodeEnded)]) {
    if ran.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{} ran", ran.len());
    let mut table = Table::new(["node", "time", "because"]);
    for (name, node) in ran {
        table.row(vec![format!("  {name}"), duration(node.seconds), node.reasons.join(", ")]);
    }
    text.push_str(&table.text().lines().skip(1).map(|line| format!("{line}\n")).collect::<String>());
}

fn failure(text: &mut String, name: &str, node: &NodeEnded) {
    let verb = if node.status == Status::Failed { "FAILED" } else { "interrupted" };
    let _ = writeln!(text, "\n{verb} {name}, after {}", duration(node.seconds));
    let Some(failure) = &node.failure else { return };
    let _ = writeln!(text, "  {}", failure.message.replace('\n', "\n  "));
    for line in &failure.log {
        let _ = writeln!(text, "  | {line}");
    }
    if let Some(hint) = &failure.hint {
        let _ = writeln!(text, "  {hint}");
    }
}

/// The main results of the nodes that have any.
fn results(text: &mut String, ended: &Ended) {
    let with: Vec<_> = ended.nodes.iter().filter(|(_, node)| !node.metrics.is_empty()).collect();
    if with.is_empty() {
        return;
    }
    text.push_str("\nmain results\n");
    for (name, node) in with {
        let metrics: Vec<String> =
            node.metrics.iter().map(|(name, value)| format!("{name} {}", significant(*value))).collect();
        let _ = writeln!(text, "  {name}: {}", metrics.join(", "));
    }
}
