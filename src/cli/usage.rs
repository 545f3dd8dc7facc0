//! What is said about a command line that cannot be read: clap's words, with the way out that this program knows better.

use super::Cli;
use clap::Parser as _;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::process::ExitCode;

/// What people type for a subcommand, and what they may mean.
const MEANT: &[(&str, &str)] = &[
    ("status", "plan"),
    ("dry-run", "plan"),
    ("validate", "check"),
    ("lint", "check"),
    ("explain", "why"),
    ("new", "init"),
    ("create", "init"),
    ("kinds", "stages"),
    ("list", "stages"),
    ("ls", "stages"),
    ("describe", "stages"),
    ("resume", "run"),
    ("repro", "run"),
    ("history", "runs"),
    ("compare", "runs"),
    ("gc", "cache gc"),
    ("clean", "cache gc"),
    ("du", "cache du"),
    ("env", "doctor"),
];

/// Reads the command line; what is wrong with it has been said when this returns the exit code.
pub(super) fn parse() -> Result<Cli, ExitCode> {
    Cli::try_parse().map_err(|mut error| {
        let alone =
            error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand && std::env::args_os().len() < 2;
        mend(&mut error);
        // Whoever asked may have gone away (`ddpipe --help | head`).
        let _ = error.print();
        if alone {
            crate::note::say("\nerror: a command is needed, for example `ddpipe run pipelines/quickstart.toml`");
        }
        u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
    })
}

/// Puts this program's suggestions in the place of clap's.
fn mend(error: &mut clap::Error) {
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let Some(ContextValue::String(said)) = error.get(ContextKind::InvalidSubcommand) else { return };
            let Some((_, meant)) = MEANT.iter().find(|(word, _)| word == said) else { return };
            let tip = format!("see `ddpipe {meant}`");
            error.remove(ContextKind::SuggestedSubcommand);
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![StyledStr::from(tip)]));
        }
        ErrorKind::UnknownArgument => {
            let Some(ContextValue::String(said)) = error.get(ContextKind::InvalidArg) else { return };
            // No command takes anything that begins with a dash as a value.
            let name = said.trim_start_matches('-').split('=').next().unwrap_or_default().replace('-', "_");
            let is_option = said.starts_with("--") && !name.is_empty();
            let suggested = error.get(ContextKind::SuggestedArg).is_some();
            error.remove(ContextKind::Suggested);
            if is_option && !suggested && is_variable(&name) {
                let tip = format!("a variable of the manifest is set with `--set vars.{name}=VALUE`");
                error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![StyledStr::from(tip)]));
            }
        }
        _ => {}
    }
}

/// Whether a manifest that the command line names has a variable of this name, as far as it can be read; one that it
/// includes may have it where it has none of its own.
fn is_variable(name: &str) -> bool {
    let manifests = std::env::args_os().skip(1).map(std::path::PathBuf::from);
    let mut manifests = manifests.filter(|file| file.extension().is_some_and(|ending| ending == "toml"));
    manifests.any(|file| {
        let read = std::fs::read_to_string(file).ok().and_then(|text| text.parse::<toml::Table>().ok());
        read.is_some_and(|table| match table.get("vars") {
            Some(vars) => vars.get(name).is_some(),
            None => table.contains_key("include"),
        })
    })
}
