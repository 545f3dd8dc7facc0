//! `ddpipe completions SHELL`.

use super::{Cli, Done, print};
use clap::CommandFactory as _;

/// Print a completion script.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell
    shell: clap_complete::Shell,
}

pub(super) fn run(args: Args) -> Done {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "ddpipe", &mut script);
    print(&String::from_utf8_lossy(&script))
}
