//! `ddpipe completions SHELL`: the script by which a shell asks `complete` what could come next.

use super::{Done, complete, print};
use crate::exit::Fault;
use clap_complete::env::Shells;

/// Print a completion script.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell
    shell: clap_complete::Shell,
}

pub(super) fn run(args: Args) -> Done {
    let name = args.shell.to_string();
    let shells = Shells::builtins();
    let shell = shells.completer(&name).ok_or_else(|| Fault::usage(format!("no completion for {name}")))?;
    let mut script = Vec::new();
    shell.write_registration(complete::VARIABLE, "ddpipe", "ddpipe", "ddpipe", &mut script)?;
    print(&String::from_utf8_lossy(&script))
}
