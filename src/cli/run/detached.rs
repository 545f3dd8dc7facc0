//! `ddpipe run --detach`: the same command once more, in a session of its own that no terminal ends. The first command waits
//! until the second has its folder, and says how to go on.

use crate::cli::Done;
use crate::exit::{Exit, Fault};
use ddpipe_cache::RunDir;
use nix::unistd::{dup2_stderr, dup2_stdout, setsid};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

/// The variable by which the second command knows that it is one.
const VARIABLE: &str = "DDPIPE_DETACHED";
/// The file in the run's folder for what it would have said to a terminal.
const OUTPUT: &str = "output.txt";

/// Starts the second command and says what it is called.
pub fn start() -> Done {
    let mut arguments: Vec<_> = std::env::args_os().skip(1).collect();
    arguments.retain(|argument| argument != "--detach");
    let program = std::env::current_exe()?;
    let mut command = Command::new(&program);
    command.args(arguments).env(VARIABLE, "1").stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn()?;
    let mut line = String::new();
    if let Some(out) = child.stdout.take() {
        BufReader::new(out).read_line(&mut line)?;
    }
    let run = line.trim();
    if run.is_empty() {
        // It has said why, on the standard error that both share.
        let code = child.wait()?.code().and_then(|code| u8::try_from(code).ok());
        return Ok(code.and_then(Exit::of_code).unwrap_or(Exit::Stage));
    }
    crate::cli::print(&format!(
        "{run}\n  goes on in the background: `ddpipe watch {run}` shows it, `ddpipe runs stop {run}` ends it\n"
    ))
}

/// In the second command: says the run's name to the first, and leaves its terminal.
///
/// # Errors
/// The file for its words cannot be written.
pub fn begin(run: &RunDir) -> Result<(), Fault> {
    if std::env::var_os(VARIABLE).is_none() {
        return Ok(());
    }
    let path = run.path().join(OUTPUT);
    let output = File::create(&path).map_err(|error| Fault::io("write", &path, &error))?;
    let failed = |error: nix::Error| Fault::io("leave the terminal for", &path, &error.into());
    let _ = setsid();
    let mut out = std::io::stdout();
    // Whoever started it may be gone already.
    let _ = writeln!(out, "{}", run.id()).and_then(|()| out.flush());
    dup2_stdout(&output).map_err(failed)?;
    dup2_stderr(&output).map_err(failed)
}
