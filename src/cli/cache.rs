//! `ddpipe cache du|gc|verify`: looking after the cache.

use super::{Done, print};
use crate::exit::{Exit, Fault};
use crate::size;
use ddpipe_cache::{Cache, Count, GcOptions, GcReport, Usage, VerifyReport};
use std::path::{Path, PathBuf};

/// Look after the cache.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The cache's folder
    #[arg(long, value_name = "DIR", env = "DDPIPE_CACHE", default_value = ".ddpipe", global = true)]
    cache: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Say what the cache holds
    Du,
    /// Remove what is not needed; says what it would remove unless --yes is given
    Gc {
        /// Remove results, longest unused first, until the cache is at most this large
        #[arg(long, value_name = "SIZE", value_parser = size::parse)]
        max_size: Option<u64>,
        /// Keep everything that the last N runs of each pipeline reached
        #[arg(long, value_name = "N", default_value_t = 3)]
        keep_runs: usize,
        /// Remove the folders of all but the last N runs of each pipeline
        #[arg(long, value_name = "N")]
        runs: Option<usize>,
        /// Remove, instead of saying what would be removed
        #[arg(long)]
        yes: bool,
    },
    /// Read every blob and set damaged ones aside
    Verify,
}

pub(super) fn run(args: Args) -> Done {
    let cache = open(&args.cache)?;
    match args.command {
        Command::Du => print(&usage(&cache.du()?)),
        Command::Gc { max_size, keep_runs, runs, yes } => {
            print(&collected(&cache.gc(GcOptions { max_size, keep_runs, runs, dry_run: !yes })?))
        }
        Command::Verify => {
            let report = cache.verify()?;
            print(&verified(&report))?;
            Ok(if report.is_clean() { Exit::Ok } else { Exit::Cache })
        }
    }
}

/// Opens a cache that must be there already.
pub(super) fn open(folder: &Path) -> Result<Cache, Fault> {
    if !folder.is_dir() {
        let message = format!("there is no cache at {}\n  name the cache with --cache DIR", folder.display());
        return Err(Fault { exit: Exit::Cache, message });
    }
    Ok(Cache::open(folder)?)
}

fn usage(usage: &Usage) -> String {
    let mut text = String::new();
    let mut line = |name: &str, count: Count| {
        text.push_str(&format!("{name:14} {:>10}  {:>7} files\n", size::show(count.bytes), count.files));
    };
    line("blobs", usage.blobs);
    for (kind, count) in &usage.by_type {
        line(&format!("  {kind}"), *count);
    }
    line("records", usage.records);
    line("checkpoints", usage.scratch);
    line("runs", usage.runs);
    line("damaged", usage.damaged);
    line("all", usage.total());
    text
}

fn collected(report: &GcReport) -> String {
    let mut text = String::new();
    let verb = if report.dry_run { "would remove" } else { "removed" };
    for removal in &report.removed {
        let (what, path) = (format!("{:?}", removal.what).to_lowercase(), removal.path.display());
        text.push_str(&format!("{verb} {what} {path} ({})\n", size::show(removal.bytes)));
    }
    let (freed, before, after) = (size::show(report.freed()), size::show(report.before), size::show(report.after));
    text.push_str(&format!("{verb} {} things, {freed}: {before} -> {after}\n", report.removed.len()));
    text.push_str(&format!("kept {} records that recent runs reach, {} claimed keys\n", report.pinned, report.claimed));
    if report.over > 0 {
        text.push_str(&format!(
            "{} above --max-size could not be freed: pinned, claimed or new\n",
            size::show(report.over)
        ));
    }
    if report.dry_run && !report.removed.is_empty() {
        text.push_str("nothing was removed; --yes removes it\n");
    }
    text
}

fn verified(report: &VerifyReport) -> String {
    let mut text =
        format!("{} blobs are whole ({}), {} records\n", report.whole, size::show(report.bytes), report.records);
    for blob in &report.damaged {
        text.push_str(&format!("damaged: {}, now at {}\n", blob.digest.short(), blob.path.display()));
    }
    if report.broken_records > 0 {
        text.push_str(&format!(
            "{} files among the records were no records and were set aside\n",
            report.broken_records
        ));
    }
    for record in &report.incomplete {
        text.push_str(&format!("{} lost {}; it runs again when it is needed\n", record.node, record.lost.join(", ")));
    }
    text
}
