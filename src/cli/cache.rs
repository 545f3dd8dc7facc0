//! `ddpipe cache du|gc|verify|push|pull|status|key`: looking after the cache, and what it shares with others.

mod collected;
mod elsewhere;
mod shared;

use super::place::CacheArgs;
use super::{Done, examples, print};
use crate::exit::Exit;
use crate::size;
use crate::visible::visible;
use ddpipe_cache::{Count, GcOptions, Usage, VerifyReport};

/// Look after the cache.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    cache: CacheArgs,
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
        /// Keep everything that the last N runs of each pipeline reached; runs that reached nothing new do not count, and
        /// what kept runs reached stays anyway
        #[arg(long, value_name = "N", default_value_t = 3)]
        keep_runs: usize,
        /// Remove the folders of all but the last N runs of each pipeline
        #[arg(long, value_name = "N")]
        runs: Option<usize>,
        /// Remove, instead of saying what would be removed
        #[arg(long)]
        yes: bool,
        /// Name every file
        #[arg(long, short)]
        verbose: bool,
        #[command(flatten)]
        there: elsewhere::GcArgs,
    },
    /// Read every blob and set damaged ones aside
    Verify(elsewhere::VerifyArgs),
    /// Send what the remote lacks: all results, or those of a manifest
    #[command(after_help = examples::PUSH)]
    Push(shared::PushArgs),
    /// Bring the results of a manifest here that the remote has
    Pull(shared::PullArgs),
    /// Say what is here, what is in the remote, and what waits to be sent
    Status(shared::StatusArgs),
    /// Print the public key of one's own records in remotes; makes the key if there is none
    Key {
        /// The name of a new key [default: the user's name]
        #[arg(long)]
        name: Option<String>,
    },
}

pub(super) fn run(args: Args) -> Done {
    let place = args.cache;
    match args.command {
        Command::Push(push) => shared::push(push, &place),
        Command::Pull(pull) => shared::pull(pull, &place),
        Command::Status(status) => shared::status(&status, &place),
        Command::Key { name } => shared::key(name.as_deref()),
        Command::Du => print(&usage(&place.open()?.du()?)),
        Command::Gc { keep_runs, yes, there: there @ elsewhere::GcArgs { remote: Some(_), .. }, .. } => {
            elsewhere::collect(&there, keep_runs, yes)
        }
        Command::Verify(there @ elsewhere::VerifyArgs { remote: Some(_), .. }) => elsewhere::verify(&there),
        Command::Gc { max_size, keep_runs, runs, yes, verbose, .. } => {
            let cache = place.open()?;
            let report = cache.gc(GcOptions { max_size, keep_runs, runs, dry_run: !yes })?;
            print(&visible(&collected::text(&report, verbose)))
        }
        Command::Verify(_) => {
            let report = place.open()?.verify()?;
            print(&verified(&report))?;
            Ok(if report.is_clean() { Exit::Ok } else { Exit::Cache })
        }
    }
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
    if report.elsewhere > 0 {
        text.push_str(&format!("{} records have outputs that are in a remote alone\n", report.elsewhere));
    }
    for record in &report.incomplete {
        text.push_str(&format!("{} lost {}; it runs again when it is needed\n", record.node, record.lost.join(", ")));
    }
    text
}
