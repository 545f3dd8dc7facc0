//! `ddpipe runs`: the runs that the cache remembers, listed, looked at, compared, stopped, kept and removed.

mod compare;
mod json;
mod list;
pub mod log;
mod show;
mod stop;

use super::place::CacheArgs;
use super::{Done, print};
use crate::exit::Fault;
use crate::history;
use crate::visible::visible;

/// List the runs, the newest first.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A run is meant by the first letters of its id, by the name that `runs keep` gave it, or by `last`."
)]
pub struct Args {
    #[command(flatten)]
    cache: CacheArgs,
    #[command(flatten)]
    list: list::ListArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show a run: what it was started with, which nodes ran and why, failures, expectations, results
    Show {
        /// The run
        run: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Compare two runs, or manifests with what is on record for them: parameters, sources, numerics, results, and why nodes
    /// run again
    Compare(compare::Args),
    /// Ask a run to save what it has and to stop, wherever it was started; its pilots too
    Stop {
        /// The run
        run: String,
    },
    /// Print what a node said in a run, in each pilot that had it
    Log {
        /// The run
        run: String,
        /// The node, or a pattern: distill[method=dm]
        node: String,
    },
    /// Keep a run: `cache gc` never removes its results
    Keep {
        /// The run
        run: String,
        /// Give it a name
        #[arg(long = "as", value_name = "NAME", value_parser = name)]
        name: Option<String>,
    },
    /// Make a kept run one like any other
    Release {
        /// The run
        run: String,
    },
    /// Remove what is remembered of runs; their results stay until `cache gc`
    Rm {
        /// The runs
        #[arg(required = true)]
        run: Vec<String>,
        /// Also a kept one
        #[arg(long)]
        force: bool,
    },
}

pub(super) fn run(args: Args) -> Done {
    if args.command.is_some() && args.list.is_given() {
        return Err(Fault::usage("what stands before the subcommand is for the list of runs alone; put it behind"));
    }
    if let Some(Command::Compare(compared)) = args.command {
        return compare::run(&args.cache, &compared);
    }
    let cache = args.cache.open()?;
    match args.command {
        None | Some(Command::Compare(_)) => list::run(&cache, &args.list),
        Some(Command::Show { run, json }) => show::run(&cache, &run, json),
        Some(Command::Stop { run }) => stop::run(&cache, &run),
        Some(Command::Log { run, node }) => log::run(&cache, &run, &node),
        Some(Command::Keep { run, name }) => {
            let run = history::find(&cache, &run)?;
            cache.keep_run(&run, name.as_deref())?;
            let gone = run.reached.iter().filter(|key| !matches!(cache.peek(**key), Ok(Some(_)))).count();
            let name = name.map_or(String::new(), |name| format!(" as {name}"));
            let mut text = format!("{} is kept{name}\n", run.id);
            if gone > 0 {
                let all = run.reached.len();
                text.push_str(&format!(
                    "{gone} of its {all} results are not in the cache any more; to make them again:\n"
                ));
                text.push_str(&format!("  ddpipe run --from-run {}\n", run.id));
            }
            print(&visible(&text))
        }
        Some(Command::Release { run }) => {
            let run = history::find(&cache, &run)?;
            let said = if cache.release_run(&run)? { "is not kept any more" } else { "was not kept" };
            print(&format!("{} {said}\n", run.id))
        }
        Some(Command::Rm { run, force }) => {
            let runs: Result<Vec<_>, Fault> = run.iter().map(|run| history::find(&cache, run)).collect();
            for run in runs? {
                cache.remove_run(&run, force)?;
                print(&format!("removed {}\n", run.id))?;
            }
            print("")
        }
    }
}

/// A name for a run: one that can be told from an id, and be typed without quotes.
fn name(text: &str) -> Result<String, String> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    let begins_well = text.starts_with(|letter: char| letter.is_ascii_alphabetic());
    if !begins_well || !text.chars().all(plain) || text == history::LAST || text.ends_with(".toml") || text.len() > 100
    {
        let form = "a name begins with a letter, has letters, digits, '-', '_' and '.'";
        return Err(format!("{form}, is not \"last\" and does not end with \".toml\""));
    }
    Ok(text.to_string())
}
