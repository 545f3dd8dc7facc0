//! The command line: one module per subcommand, each with its arguments and what it does with them.

mod allow;
mod cache;
mod check;
mod completions;
mod doctor;
mod graph;
mod interrupts;
mod place;
mod plan;
mod project;
mod results;
mod run;
mod runs;
mod schema;
mod show;
mod stages;
mod verify;
mod where_from;
mod why;

use crate::exit::{Exit, Fault};
use clap::{Parser, Subcommand};
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// Runs dataset-distillation experiments as declared pipelines.
///
/// Exit codes: 0 ok, 1 a stage failed, 2 the manifest or the command line, 3 the cache or another file, 4 an expectation missed
/// (--check), 5 results not comparable (verify), 130 interrupted. Set DDPIPE_LOG=debug for a log on stderr.
#[derive(Debug, Parser)]
#[command(name = "ddpipe", version, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a pipeline: what is not on record runs, the rest is taken from the cache
    Run(run::Args),
    /// Say what `run` would run, and why
    Plan(plan::Args),
    /// Explain why a node would run, or which record it is taken from
    Why(why::Args),
    /// Accept the programs that a project's own kinds run, as they are now
    Allow(allow::Args),
    /// Check a manifest without running or reading data
    Check(check::Args),
    /// Show the graph of nodes
    Graph(graph::Args),
    /// List the stage kinds, or describe one
    Stages(stages::Args),
    /// Print the JSON Schema of manifests, for completion in an editor
    Schema(schema::Args),
    /// Show a node's outputs, or write one to a file
    Show(show::Args),
    /// List, show, compare, keep and remove runs
    Runs(runs::Args),
    /// List the results on record with the parameters in which they differ; find the best
    Results(results::Args),
    /// Say where a file comes from: run, node, parameters, sources, and the command that makes it again
    Where(where_from::Args),
    /// Run recorded nodes again, beside the cache, and compare what comes out with the records
    Verify(verify::Args),
    /// Look after the cache: du, gc, verify
    Cache(cache::Args),
    /// Check this installation: versions, devices, libtorch, cache
    Doctor(doctor::Args),
    /// Print a completion script for a shell
    Completions(completions::Args),
}

/// Parses the command line, does what it says, and prints what went wrong.
pub fn main() -> ExitCode {
    let filter = EnvFilter::try_from_env("DDPIPE_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .without_time()
        .log_internal_errors(false)
        .init();
    let done = match Cli::parse().command {
        Command::Run(args) => run::run(args),
        Command::Plan(args) => plan::run(args),
        Command::Why(args) => why::run(args),
        Command::Allow(args) => allow::run(args),
        Command::Check(args) => check::run(args),
        Command::Graph(args) => graph::run(args),
        Command::Stages(args) => stages::run(args),
        Command::Schema(args) => schema::run(args),
        Command::Show(args) => show::run(args),
        Command::Runs(args) => runs::run(args),
        Command::Results(args) => results::run(args),
        Command::Where(args) => where_from::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Cache(args) => cache::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Completions(args) => completions::run(args),
    };
    match done {
        Ok(exit) => exit.into(),
        Err(fault) => {
            crate::note::say(&fault);
            fault.exit.into()
        }
    }
}

/// The result of every subcommand: the exit code, or what went wrong.
type Done = Result<Exit, Fault>;

/// Prints a text to standard output. A reader that has gone away (`| head`) is no error.
fn print(text: &str) -> Done {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(Exit::Ok),
    }
}
