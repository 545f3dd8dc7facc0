//! What a garbage collection removed, or would: results by node, with their parameters, dates and sizes, and the rest by
//! kind. A path means nothing to whoever has to decide.

use crate::history::shown;
use crate::size;
use crate::table::Table;
use crate::when;
use ddpipe_cache::{Evicted, Garbage, GcReport, Key, Removal};
use indexmap::IndexMap;

/// The report; with `verbose` every file is named.
pub(super) fn text(report: &GcReport, verbose: bool) -> String {
    let mut text = String::new();
    let verb = if report.dry_run { "would remove" } else { "removed" };
    if verbose {
        for removal in &report.removed {
            let (path, bytes) = (removal.path.display(), size::show(removal.bytes));
            text.push_str(&format!("{verb} {} {path} ({bytes})\n", name(removal.what, 1)));
        }
        text.push('\n');
    }
    text.push_str(&results(report, verb));
    text.push_str(&rest(report, verb));
    let (freed, before, after) = (size::show(report.freed()), size::show(report.before), size::show(report.after));
    text.push_str(&format!("{verb} {freed} in all: {before} -> {after}\n"));
    text.push_str(&format!("kept {} records that recent and kept runs reach", report.pinned));
    if report.claimed > 0 {
        text.push_str(&format!(", and what {} stages at work compute", report.claimed));
    }
    text.push('\n');
    if report.over > 0 {
        let over = size::show(report.over);
        text.push_str(&format!("{over} above --max-size could not be freed: pinned, claimed or new\n"));
    }
    if report.dry_run && !report.removed.is_empty() {
        text.push_str("nothing was removed; --yes removes it\n");
    }
    text
}

/// The results that go for the size: a line for each.
fn results(report: &GcReport, verb: &str) -> String {
    let mut found: IndexMap<Key, (&Evicted, u64)> = IndexMap::new();
    for (of, bytes) in report.removed.iter().filter_map(|removal| Some((removal.of.as_deref()?, removal.bytes))) {
        found.entry(of.key).or_insert((of, 0)).1 += bytes;
    }
    if found.is_empty() {
        return String::new();
    }
    let results = if found.len() == 1 { "result" } else { "results" };
    let mut table = Table::new(["result", "pipeline", "made", "last used", "size", "parameters"]);
    for (of, bytes) in found.values() {
        let (made, used) = (when::short(of.made), when::short(of.used));
        table.row(vec![of.node.clone(), of.pipeline.clone(), made, used, size::show(*bytes), params(of)]);
    }
    format!("{verb} {} {results}, those used longest ago first:\n{}\n", found.len(), table.text())
}

/// The parameters that were set, and the seed.
fn params(of: &Evicted) -> String {
    let set = of.description.iter().filter_map(|(name, value)| match name.split_once(' ') {
        Some(("param", name)) => Some(format!("{name}={}", shown(value))),
        None if name == "seed" => Some(format!("seed={value}")),
        _ => None,
    });
    set.collect::<Vec<_>>().join(" ")
}

/// Everything else, counted by kind; runs by name.
fn rest(report: &GcReport, verb: &str) -> String {
    let mut counts: IndexMap<Garbage, (usize, u64)> = IndexMap::new();
    let mut runs = Vec::new();
    for removal in report.removed.iter().filter(|removal| removal.of.is_none()) {
        let (count, bytes) = counts.entry(removal.what).or_default();
        (*count, *bytes) = (*count + 1, *bytes + removal.bytes);
        runs.extend(run_id(removal));
    }
    let mut text = String::new();
    for (what, (count, bytes)) in counts {
        let which = if what == Garbage::Run { format!(": {}", runs.join(", ")) } else { String::new() };
        text.push_str(&format!("{verb} {count} {} ({}){which}\n", name(what, count), size::show(bytes)));
    }
    text
}

fn run_id(removal: &Removal) -> Option<String> {
    (removal.what == Garbage::Run).then(|| removal.path.file_name())?.map(|name| name.to_string_lossy().into_owned())
}

/// What it is called, one or many.
fn name(what: Garbage, count: usize) -> &'static str {
    let (one, many) = match what {
        Garbage::Blob => ("artifact that no record names", "artifacts that no record names"),
        Garbage::Record => ("record", "records"),
        Garbage::Scratch => ("folder of checkpoints", "folders of checkpoints"),
        Garbage::Temporary => ("unfinished file", "unfinished files"),
        Garbage::Claim => ("lock file of a process that was killed", "lock files of processes that were killed"),
        Garbage::Damaged => ("damaged file", "damaged files"),
        Garbage::OldVersion => ("folder of an older version", "folders of an older version"),
        Garbage::Run => ("folder of a run", "folders of runs"),
    };
    if count == 1 { one } else { many }
}
