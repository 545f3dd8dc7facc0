//! The command line: one module per subcommand, each with its arguments and what it does with them.

mod absence;
mod allow;
mod baseline;
mod cache;
mod check;
mod complete;
mod completions;
mod diff;
mod doctor;
mod examples;
mod export;
mod graph;
mod init;
mod interrupts;
mod kinds;
mod ledger;
mod log;
mod logs;
mod place;
mod plan;
mod project;
mod remote;
mod report;
mod results;
mod run;
mod runs;
mod schema;
mod show;
mod stages;
mod subject;
mod table;
mod usage;
mod verify;
mod watching;
mod where_from;
mod why;

use crate::exit::{Exit, Fault};
use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::CompleteEnv;
use std::process::ExitCode;

/// Runs dataset-distillation experiments as declared pipelines.
///
/// Exit codes: 0 ok, 1 a stage failed, 2 the manifest or the command line, 3 the cache or another file, 4 an expectation missed
/// (--check) or a result worse than its baseline, 5 results not comparable (verify); 130, 143 and 129 stopped by Ctrl-C, SIGTERM
/// or a closed terminal: the same command continues. Set DDPIPE_LOG=debug for a log on stderr.
#[derive(Debug, Parser)]
#[command(name = "ddpipe", version, max_term_width = 110, after_help = examples::START)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a project that runs, to begin with
    #[command(after_help = examples::INIT)]
    Init(init::Args),
    /// Run a pipeline: what is not on record runs, the rest is taken from the cache
    #[command(after_help = examples::RUN)]
    Run(run::Args),
    /// Say what `run` would run, and why
    #[command(after_help = examples::PLAN)]
    Plan(plan::Args),
    /// Say what settings would change, compared with the manifest as it is written
    #[command(after_help = examples::DIFF)]
    Diff(diff::Args),
    /// Explain why a node would run, or which record it is taken from
    #[command(after_help = examples::WHY)]
    Why(why::Args),
    /// Accept the programs that a project's own kinds run, as they are now
    Allow(allow::Args),
    /// Check a manifest without running or reading data
    #[command(after_help = examples::CHECK)]
    Check(check::Args),
    /// Show the graph of nodes
    Graph(graph::Args),
    /// List the stage kinds by group, or describe one
    #[command(after_help = examples::STAGES)]
    Stages(stages::Args),
    /// Print the JSON Schema of manifests, for completion in an editor
    #[command(after_help = examples::SCHEMA)]
    Schema(schema::Args),
    /// Show a node's outputs, or write one to a file
    #[command(after_help = examples::SHOW)]
    Show(show::Args),
    /// Make a table of the manifest once more, with other rows, columns, value or format
    #[command(after_help = examples::TABLE)]
    Table(table::Args),
    /// Print what a stage said, in the last run in which it was at work or in a named one
    Logs(logs::Args),
    /// Show a run of another terminal as it goes on
    Watch(watching::Args),
    /// Write a run, or what is on record for a manifest, as one HTML file
    Report(report::Args),
    /// Write a run in the forms of other programs: TensorBoard, MLflow, RO-Crate, Hugging Face
    Export(export::Args),
    /// List, show, compare, keep and remove runs
    Runs(runs::Args),
    /// List the results on record with the parameters in which they differ; find the best
    Results(results::Args),
    /// Say where a file comes from: run, node, parameters, sources, and the command that makes it again
    Where(where_from::Args),
    /// Check that everything is on record and whole, or run recorded nodes again and compare
    Verify(verify::Args),
    /// Keep metrics for later runs to be compared with, or compare
    Baseline(baseline::Args),
    /// Set published figures beside what is on record, with a verdict for each
    #[command(after_help = examples::LEDGER)]
    Ledger(ledger::Args),
    /// Look after the cache: du, gc, verify
    Cache(cache::Args),
    /// Check this installation: versions, devices, libtorch, cache
    Doctor(doctor::Args),
    /// Print a completion script for a shell
    #[command(after_help = examples::COMPLETIONS)]
    Completions(completions::Args),
}

/// Memory is taken from the system in pieces of this size: in small ones, as glibc does by default, a plan of very many
/// nodes spends a tenth of its time on asking.
const PIECE: i32 = 4 << 20;

/// Parses the command line, does what it says, and prints what went wrong.
pub fn main() -> ExitCode {
    #[cfg(target_env = "gnu")]
    // SAFETY: sets a number that the allocator reads; no other thread runs yet.
    unsafe {
        nix::libc::mallopt(nix::libc::M_TOP_PAD, PIECE);
    }
    CompleteEnv::with_factory(Cli::command).var(complete::VARIABLE).complete();
    log::start();
    let cli = match usage::parse() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let done = match cli.command {
        Command::Init(args) => init::run(args),
        Command::Run(args) => run::run(args),
        Command::Plan(args) => plan::run(args),
        Command::Diff(args) => diff::run(args),
        Command::Why(args) => why::run(args),
        Command::Allow(args) => allow::run(args),
        Command::Check(args) => check::run(args),
        Command::Graph(args) => graph::run(args),
        Command::Stages(args) => stages::run(args),
        Command::Schema(args) => schema::run(args),
        Command::Show(args) => show::run(args),
        Command::Table(args) => table::run(args),
        Command::Logs(args) => logs::run(args),
        Command::Watch(args) => watching::run(args),
        Command::Report(args) => report::run(args),
        Command::Export(args) => export::run(args),
        Command::Runs(args) => runs::run(args),
        Command::Results(args) => results::run(args),
        Command::Where(args) => where_from::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Baseline(args) => baseline::run(args),
        Command::Ledger(args) => ledger::run(args),
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

/// Keeps a value until the process ends, which is soon: to take a pipeline of very many nodes apart takes as long as to read
/// it.
fn kept<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

/// The first ten of these, and how many more there are.
fn listed(names: &[String]) -> String {
    match names.len() {
        0..=11 => names.join(", "),
        count => format!("{} and {} more", names[..10].join(", "), count - 10),
    }
}

/// Prints a text to standard output. A reader that has gone away (`| head`) is no error.
fn print(text: &str) -> Done {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(Exit::Ok),
    }
}
