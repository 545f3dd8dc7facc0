//! `ddpipe where FILE`: which run and node made a file, from what, and the command that makes it again.

use super::place::CacheArgs;
use super::{Done, print};
use crate::catalog::Catalog;
use crate::command;
use crate::exit::Fault;
use crate::history::Past;
use crate::origin::{Accounted, Origin, accounted};
use crate::place;
use crate::progress::duration;
use crate::results::Stamped;
use crate::visible::visible;
use crate::when;
use ddpipe_cache::{Cache, Digest, Record};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Say where a file comes from: any file in results/, or a copy of any artifact.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    cache: CacheArgs,
    /// The file
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> Done {
    let file = &args.file;
    let bytes = std::fs::read(file).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Fault::usage(format!("there is no file {}", file.display())),
        _ => Fault::io("read", file, &error),
    })?;
    let digest = Digest::of(&bytes);
    let accounted = accounted(file);
    let cache = cache_of(&args, accounted.as_ref())?;
    let origin = Origin::of(digest, accounted, Stamped::read(&bytes), &cache, &Catalog::built_in()?)?;
    if !origin.is_known() {
        let (name, root) = (file.display(), cache.root().display());
        return Err(Fault::usage(format!(
            "{name} is not known: no results folder lists it, and no result in {root} has its bytes (blake3 {})\n  if it was \
             made with another cache, name that with --cache; if it was changed since, look at the file that it was made from",
            digest.short()
        )));
    }
    if args.json {
        return print(&format!("{:#}\n", as_json(file, &origin, &cache)));
    }
    print(&visible(&text(file, &origin, &cache)))
}

/// The cache that is named; that of the project around the file; that which the folder of results names; or that of the
/// project around the current folder.
fn cache_of(args: &Args, accounted: Option<&Accounted>) -> Result<Cache, Fault> {
    let around = || place::nearest_from(std::path::absolute(&args.file).ok()?.parent()?);
    // It may come from a stranger: only what looks like a cache is opened.
    let named =
        accounted.map(|accounted| accounted.called.cache.clone()).filter(|cache| cache.join("records-v1").is_dir());
    let folder = args.cache.given().cloned().or(named).or_else(around);
    match folder {
        Some(folder) => CacheArgs::named(Some(folder)).open(),
        None => args.cache.open(),
    }
}

fn text(file: &Path, origin: &Origin, cache: &Cache) -> String {
    let mut text = format!("{}\n", file.display());
    let mut line = |what: &str, value: &str| text.push_str(&format!("  {what:10} {value}\n"));
    match &origin.accounted {
        Some(accounted) if origin.was_edited() => {
            let (now, then) = (origin.digest.short(), accounted.file.digest.short());
            line("EDITED", &format!("since the run: blake3 {now} now, {then} as the run left it"));
        }
        Some(_) => line("unchanged", "since the run"),
        None if origin.stamped.is_some() => {
            line("found by", "the words that ddpipe wrote into it; whether it was changed since cannot be told");
        }
        None => line("found by", &format!("its bytes (blake3 {})", origin.digest.short())),
    }
    match &origin.run {
        Some(run) => {
            let past = Past::of(run.clone());
            let name = run.name.as_ref().map_or(String::new(), |name| format!(", kept as {name}"));
            line("run", &format!("{} of {}{name}", run.id, when::long(past.begun())));
            if let Some(started) = past.started() {
                line("command", &command::line(&started.command));
            }
        }
        None => {
            let gone = origin.accounted.as_ref().map(|accounted| accounted.file.written_by.as_str());
            let gone = gone.or(origin.stamped.as_ref().map(|stamped| stamped.run.as_str())).unwrap_or("not known");
            line("run", &format!("{gone}; its folder is no longer in {}", cache.root().display()));
        }
    }
    let node = origin.accounted.as_ref().map(|accounted| accounted.file.node.clone());
    let node = node.or_else(|| origin.record.as_ref().map(|record| record.node.clone())).unwrap_or_default();
    line("node", &format!("{node}, output {}", origin.output.as_deref().unwrap_or("not known")));
    match &origin.record {
        Some(record) => of_record(record, &mut line),
        None => line("record", "no longer in the cache: what it was made from cannot be told"),
    }
    for (title, names) in [("parameter", &origin.settings.params)] {
        for (at, (name, value)) in names.iter().enumerate() {
            line(if at == 0 { title } else { "" }, &format!("{name} = {value}"));
        }
    }
    for (name, seen) in &origin.settings.sources {
        let verified = if seen.verified { "as pinned" } else { "not verified" };
        line("source", &format!("{name}: blake3 {} ({verified}), {}", seen.digest.short(), seen.path.display()));
    }
    let _ = write!(text, "to make it again:\n  {}\n", again(origin, cache));
    text
}

fn of_record(record: &Record, line: &mut impl FnMut(&str, &str)) {
    line("pipeline", &record.pipeline);
    line("key", &record.key.hex());
    let made = &record.provenance;
    let (begun, took) = (when::long(when::since_1970(made.started_unix)), duration(made.seconds));
    line("made", &format!("{begun}, in {took} on {}, host {}, ddpipe {}", made.device, made.host, made.ddpipe));
    if let Some(numerics) = &made.numerics {
        line("numerics", &numerics.to_string());
    }
    match &made.commit {
        Some(commit) if commit.dirty => line("commit", &format!("{}, with files that differed from it", commit.hash)),
        Some(commit) => line("commit", &commit.hash),
        None => line("commit", "none: not in a git repository"),
    }
}

/// The command that makes the file again: the run, where its folder is there; else the manifest as it was called.
fn again(origin: &Origin, cache: &Cache) -> String {
    match (&origin.run, &origin.accounted) {
        (Some(run), _) => command::again(cache, &run.id, &[]),
        (None, Some(accounted)) => {
            let called = &accounted.called;
            let mut words = vec!["ddpipe".to_string(), "run".to_string(), called.manifest.display().to_string()];
            for (option, values) in [("--profile", &called.profile), ("--set", &called.set)] {
                words.extend(values.iter().flat_map(|value| [option.to_string(), value.clone()]));
            }
            let same = accounted.last_run == accounted.file.written_by;
            let note = if same {
                ""
            } else {
                "   (as the last run of that folder was called; this file is of an earlier one)"
            };
            command::line(&words) + note
        }
        (None, None) => "not known: no run that reached it is left".into(),
    }
}

fn as_json(file: &Path, origin: &Origin, cache: &Cache) -> serde_json::Value {
    let record = origin.record.as_ref();
    let accounted = origin.accounted.as_ref();
    serde_json::json!({
        "file": file.display().to_string(),
        "digest": origin.digest,
        "edited": origin.was_edited(),
        "run": origin.run.as_ref().map(|run| &run.id).or(accounted.map(|accounted| &accounted.file.written_by)),
        "run_name": origin.run.as_ref().and_then(|run| run.name.as_ref()),
        "pipeline": record.map(|record| &record.pipeline),
        "node": accounted.map(|accounted| &accounted.file.node).or(record.map(|record| &record.node)),
        "output": origin.output,
        "key": record.map(|record| record.key).or(accounted.map(|accounted| accounted.file.key)),
        "params": origin.settings.params,
        "sources": origin.settings.sources,
        "provenance": record.map(|record| &record.provenance),
        "again": again(origin, cache),
    })
}
