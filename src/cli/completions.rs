//! `ddpipe completions SHELL`: the script by which a shell asks `complete` what could come next. Those for bash, zsh and fish are
//! our own: addresses and `--set` have `=` and brackets, at which bash breaks words and which are typed in quotes.

use super::{Done, complete, print};
use crate::exit::Fault;
use clap_complete::Shell;
use clap_complete::env::Shells;

/// The scripts of our own; they ask as those of clap_complete do.
const BASH: &str = include_str!("completions/bash.sh");
const ZSH: &str = include_str!("completions/zsh.zsh");
const FISH: &str = include_str!("completions/fish.fish");

/// Print a completion script.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell
    shell: Shell,
}

pub(super) fn run(args: Args) -> Done {
    match args.shell {
        Shell::Bash => print(BASH),
        Shell::Zsh => print(ZSH),
        Shell::Fish => print(FISH),
        other => print(&of_library(other)?),
    }
}

fn of_library(shell: Shell) -> Result<String, Fault> {
    let name = shell.to_string();
    let shells = Shells::builtins();
    let completer = shells.completer(&name).ok_or_else(|| Fault::usage(format!("no completion for {name}")))?;
    let mut script = Vec::new();
    completer.write_registration(complete::VARIABLE, "ddpipe", "ddpipe", "ddpipe", &mut script)?;
    Ok(String::from_utf8_lossy(&script).into_owned())
}
