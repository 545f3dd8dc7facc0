//! How the command ends: the exit codes, and the one error type that carries a code and a text to the user.

use crate::diagnostic::Report;
use crate::sources::SourcesError;
use crate::terminal::Style;
use ddpipe_cache::CacheError;
use std::fmt;
use std::path::Path;
use std::process::ExitCode;

/// The exit codes of `ddpipe`, as the README lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The command did what it was asked for.
    Ok = 0,
    /// A stage failed; or what a command looked for is so or not, as its help says.
    Stage = 1,
    /// The manifest, a source file or the command line is at fault.
    Usage = 2,
    /// The cache, or another file that the command reads or writes, cannot be used.
    Cache = 3,
    /// An expectation was missed (`--check`), or a result is worse than its baseline.
    Missed = 4,
    /// Results could not be compared bit by bit, because they were computed with other numerics (`verify`).
    Incomparable = 5,
    /// The terminal of a run was closed (SIGHUP); the same command continues.
    HungUp = 129,
    /// Interrupted (SIGINT, Ctrl-C); the same command continues.
    Interrupted = 130,
    /// Ended from outside (SIGTERM), as by a batch system; the same command continues.
    Terminated = 143,
}

impl Exit {
    /// That of a run that a signal has stopped: 128 and the signal's number, as a shell has it.
    pub fn of_signal(signal: i32) -> Self {
        match signal {
            signal_hook::consts::SIGHUP => Exit::HungUp,
            signal_hook::consts::SIGTERM => Exit::Terminated,
            _ => Exit::Interrupted,
        }
    }
}

impl Exit {
    /// The exit that has this code, if one has it.
    pub fn of_code(code: u8) -> Option<Self> {
        use Exit::{Cache, HungUp, Incomparable, Interrupted, Missed, Ok, Stage, Terminated, Usage};
        let all = [Ok, Stage, Usage, Cache, Missed, Incomparable, HungUp, Interrupted, Terminated];
        all.into_iter().find(|exit| *exit as u8 == code)
    }

    /// The exit code in a word, for programs.
    pub fn name(self) -> &'static str {
        match self {
            Exit::Ok => "ok",
            Exit::Stage => "stage",
            Exit::Usage => "usage",
            Exit::Cache => "cache",
            Exit::Missed => "missed",
            Exit::Incomparable => "incomparable",
            Exit::Interrupted => "interrupted",
            Exit::HungUp => "hung_up",
            Exit::Terminated => "terminated",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// An error on its way to the user.
#[derive(Debug)]
pub struct Fault {
    /// The exit code.
    pub exit: Exit,
    /// The text; may have several lines.
    pub message: String,
}

impl Fault {
    /// A fault of the command line.
    pub fn usage(message: impl Into<String>) -> Self {
        Fault { exit: Exit::Usage, message: message.into() }
    }

    /// A file that could not be read or written, whatever the user asked for: `could not write FILE: no space left`.
    pub fn io(what: &str, path: &Path, error: &std::io::Error) -> Self {
        Fault { exit: Exit::Cache, message: format!("could not {what} {}: {error}", path.display()) }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<CacheError> for Fault {
    fn from(error: CacheError) -> Self {
        use CacheError::{NameTaken, NoRemote, NotACache, RunAtWork, RunKept};
        let asked_wrongly =
            matches!(error, NotACache { .. } | NameTaken { .. } | NoRemote { .. } | RunAtWork { .. } | RunKept { .. });
        Fault { exit: if asked_wrongly { Exit::Usage } else { Exit::Cache }, message: error.to_string() }
    }
}

impl From<SourcesError> for Fault {
    fn from(error: SourcesError) -> Self {
        let exit = if matches!(error, SourcesError::Cache(_)) { Exit::Cache } else { Exit::Usage };
        Fault { exit, message: error.to_string() }
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Fault { exit: Exit::Cache, message: error.to_string() }
    }
}

impl From<Report> for Fault {
    fn from(report: Report) -> Self {
        let colour = Style::of_stderr().colour;
        let count = report.diagnostics.len();
        let noun = if count == 1 { "error" } else { "errors" };
        let message = format!("{}\n{count} {noun}; nothing was run", report.render(colour).trim_end());
        Fault { exit: Exit::Usage, message }
    }
}
