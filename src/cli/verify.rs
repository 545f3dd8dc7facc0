//! `ddpipe verify`: whether everything of a manifest is on record and whole; with `--recompute`, whether it comes out the
//! same again.

mod recompute;
mod recorded;

use super::Done;
use super::allow::Commands;
use super::project::ManifestArgs;

/// Check that everything is on record and whole; with --recompute, run recorded nodes again and compare.
///
/// Without --recompute nothing is computed and nothing is changed. Exit code: 0 all is on record, and the bytes of all
/// outputs are those that were recorded; 1 something is missing or damaged. With --recompute: 0 all are equal, 1 some
/// differ or failed, 5 some could not be compared because they were recorded with other numerics.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    manifest: ManifestArgs,
    /// Exit code 1 also when a record comes from another commit, from a changed tree, or from outside of git
    #[arg(long, conflicts_with = "recompute")]
    same_commit: bool,
    /// Run so many recorded nodes again, chosen at random [without N: 1, or all that --select names]
    #[arg(long, value_name = "N", num_args = 0..=1)]
    recompute: Option<Option<usize>>,
    /// Where to compute: auto, cpu, cuda, cuda:0
    #[arg(long, value_name = "DEVICE", default_value = "auto", env = "DDPIPE_DEVICE")]
    device: String,
    /// Computing threads of each stage [default: the cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Let kinds of the project's own run their programs: all, or only those accepted with `ddpipe allow`
    #[arg(long, value_name = "WHICH", num_args = 0..=1, require_equals = true, default_missing_value = "all")]
    allow_commands: Option<Commands>,
}

pub(super) fn run(args: Args) -> Done {
    match args.recompute {
        Some(count) => recompute::run(&args, count),
        None => recorded::run(&args),
    }
}
