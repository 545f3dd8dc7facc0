//! `ddpipe cache push|pull|status|key`: what a cache shares with its remote.

use crate::cli::place::CacheArgs;
use crate::cli::project::ManifestArgs;
use crate::cli::remote::RemoteArgs;
use crate::cli::{Done, print};
use crate::exit::{Exit, Fault};
use crate::note::say;
use crate::plan::Verdict;
use crate::size;
use crate::slots;
use crate::trust;
use crate::visible::visible;
use ddpipe_cache::Cache;
use ddpipe_cache::shared::{Findings, Patience, Pushed, Status, StoreError};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Send results.
#[derive(Debug, clap::Args)]
#[command(mut_arg("manifest", |_| optional()))]
pub struct PushArgs {
    #[command(flatten)]
    manifest: ManifestArgs,
}

/// Bring results.
#[derive(Debug, clap::Args)]
pub struct PullArgs {
    #[command(flatten)]
    manifest: ManifestArgs,
}

/// Say what is where.
#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    #[command(flatten)]
    remote: RemoteArgs,
}

/// A manifest that may be left out.
fn optional() -> clap::Arg {
    let manifest = clap::Arg::new("manifest").value_name("MANIFEST").value_parser(clap::value_parser!(PathBuf));
    manifest.help("The manifest whose results are sent [default: everything that is here]")
}

/// Between two words about how far it is.
const BETWEEN: Duration = Duration::from_secs(5);

pub(super) fn push(args: PushArgs, place: &CacheArgs) -> Done {
    let manifest = &args.manifest;
    let (cache, keys) = match &manifest.manifest {
        None if manifest.from_run.is_none() => (open(place, &manifest.remote)?, None),
        _ => {
            let project = manifest.open(&slots::find("auto", None, None)?)?;
            let plan = project.planned()?.plan;
            (project.cache, Some(plan.fresh()))
        }
    };
    let mut told = Instant::now();
    let pushed = cache.push(keys.as_deref(), &mut |done, of| {
        if told.elapsed() > BETWEEN {
            told = Instant::now();
            say(format!("{done} of {of} results are sent"));
        }
    })?;
    print(&visible(&sent(&pushed, cache.remote_url().unwrap_or_default())))
}

pub(super) fn pull(args: PullArgs, _place: &CacheArgs) -> Done {
    let project = args.manifest.open(&slots::find("auto", None, None)?)?;
    if !project.cache.has_remote() {
        return Err(unnamed());
    }
    let planned = project.planned()?;
    if let Some(error) = project.cache.remote_trouble() {
        return Err(error.into());
    }
    let (mut wanted, mut absent) = (BTreeMap::new(), 0);
    for (verdict, needed) in planned.plan.verdicts.iter().zip(&planned.needed) {
        match verdict {
            Verdict::Fresh(record) => {
                wanted.extend(record.outputs.values().map(|output| (output.digest, output.bytes)));
            }
            Verdict::LeftOut { .. } | Verdict::NotSelected => {}
            _ => absent += usize::from(*needed),
        }
    }
    let (mut brought, mut bytes, mut lost, mut told) = (0, 0, 0, Instant::now());
    for (done, (digest, length)) in wanted.iter().enumerate() {
        if !project.cache.is_here(*digest, *length)? {
            if project.cache.bring(*digest, *length)? {
                (brought, bytes) = (brought + 1, bytes + length);
            } else {
                lost += 1;
            }
        }
        if told.elapsed() > BETWEEN {
            told = Instant::now();
            say(format!("{done} of {} outputs are here", wanted.len()));
        }
    }
    let url = project.cache.remote_url().unwrap_or_default();
    let mut text = format!("brought {brought} outputs ({}) from {url}", size::show(bytes));
    text.push_str(&format!("; {} were here\n", wanted.len() - brought - lost));
    if lost > 0 {
        text.push_str(&format!("{lost} outputs are not to be had; `ddpipe run` makes them again\n"));
    }
    if absent > 0 {
        text.push_str(&format!("{absent} nodes are not on record, neither here nor there\n"));
    }
    print(&visible(&text))?;
    Ok(if lost + absent > 0 { Exit::Stage } else { Exit::Ok })
}

pub(super) fn status(args: &StatusArgs, place: &CacheArgs) -> Done {
    let remote = args.remote.open(Patience::default())?.ok_or_else(unnamed)?;
    // Before the first run there is no cache here; the remote is asked all the same.
    let nothing = tempfile::tempdir().map_err(|error| Fault::io("write in", &std::env::temp_dir(), &error))?;
    let folder = match place.given() {
        None if !place.folder().is_dir() => nothing.path().to_path_buf(),
        _ => place.open().map(|_| place.folder())?,
    };
    let cache = Cache::open_sharing(&folder, None, Some(remote))?;
    print(&visible(&told(&cache.remote_status()?)))
}

pub(super) fn key(name: Option<&str>) -> Done {
    let (public, path) = trust::own_or_new(name)?;
    say(format!("the secret is in {}, for you alone", path.display()));
    print(&format!("{public}\n"))
}

/// The cache that is named or found, with its remote.
fn open(place: &CacheArgs, remote: &RemoteArgs) -> Result<Cache, Fault> {
    place.open()?;
    let remote = remote.open(Patience::default())?.ok_or_else(unnamed)?;
    let folder: &Path = &place.folder();
    Ok(Cache::open_sharing(folder, None, Some(remote))?)
}

fn unnamed() -> Fault {
    Fault::usage(
        "no remote is named\n  name it with --remote file:///FOLDER or s3://BUCKET/PREFIX, DDPIPE_REMOTE, or `[cache] remote` in \
         ~/.config/ddpipe/config.toml",
    )
}

fn sent(pushed: &Pushed, url: &str) -> String {
    let Pushed { records, blobs, before, there_alone, incomplete, newer } = pushed;
    let mut text = format!("sent {records} results ({} outputs, {}) to {url}", blobs.files, size::show(blobs.bytes));
    text.push_str(&format!("; {before} were there\n"));
    if *there_alone > 0 {
        text.push_str(&format!(
            "{there_alone} results stay there as they are, without a signature from here: their outputs are not here\n  `ddpipe \
             cache pull MANIFEST` brings them\n"
        ));
    }
    if *incomplete > 0 {
        text.push_str(&format!("{incomplete} results were not sent: their outputs are not all here\n"));
    }
    if *newer > 0 {
        text.push_str(&format!("{newer} results were not sent: those of a newer ddpipe are there\n"));
    }
    text
}

/// What a remote does with what is written there.
fn shows(written: &Result<Findings, StoreError>) -> String {
    let found = match written {
        Ok(found) => found,
        Err(error) => return format!("nothing can be written there: it {error}\n"),
    };
    let after = |time: Duration| match time {
        Duration::ZERO => "at once".to_string(),
        Findings::LONGEST => format!("not within {} s", Findings::LONGEST.as_secs()),
        time => format!("{:.1} s later", time.as_secs_f64()),
    };
    let (listed, read) = (after(found.listings), after(found.readings));
    let mut text = format!("what is written there is listed {listed}, and read {read} where it overwrites something\n");
    if !found.listings.is_zero() {
        let wait = found.wait().as_secs_f64();
        text.push_str(&format!("each claim there waits {wait:.1} s, and now and then a node may be computed twice\n"));
    }
    text
}

fn told(status: &Status) -> String {
    let Status { url, id, records, blobs, both, here, unsent, refused, written } = status;
    let id = id.as_ref().map_or("nothing was sent there yet".to_string(), |id| format!("id {id}"));
    let mut text = format!("remote {url} ({id})\n");
    let mut line = |name: &str, count: u64, what: String| text.push_str(&format!("  {name:24} {count:>8}{what}\n"));
    line("records there", records.files, String::new());
    line("outputs there", blobs.files, format!("  {}", size::show(blobs.bytes)));
    line("records here and there", *both, String::new());
    line("records here alone", *here, String::new());
    line("records in the outbox", unsent.records, format!("  {}", size::show(unsent.bytes)));
    if *refused > 0 {
        line("records refused", *refused, String::new());
    }
    text.push_str(&shows(written));
    if written.is_ok() && (*here > 0 || unsent.records > 0) {
        text.push_str(&format!("`ddpipe cache push --remote {url}` sends what is here alone\n"));
    }
    text
}
