//! The program `ddpipe-worker`, which runs stages, one process per device slot. The engine starts it and talks to it over
//! a socket; `--probe` tells `ddpipe doctor` what libtorch and CUDA look like from here. What happens between the two
//! is in `serve.rs`.

mod args;
mod command;
mod device;
mod engine;
mod failure;
mod inputs;
mod interrupts;
mod job;
mod memory;
mod outputs;
mod pending;
mod residency;
mod serve;
mod store;

use std::process::ExitCode;

/// The whole program: reads the command line, runs to its end and gives the exit code. To be called first in `main`,
/// before the process has a second thread and before anything touches libtorch.
pub fn main() -> ExitCode {
    // Before anything else: threads inherit the signal mask, and libraries read the environment as they load.
    let signals = interrupts::block_signals();
    device::set_environment();
    let args = args::parse();
    let done = match args.session {
        Some(session) => signals.and_then(|signals| serve::serve(&session, signals)),
        None => device::probe().map(|line| println!("{line}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ddpipe-worker: {error:#}");
            ExitCode::FAILURE
        }
    }
}
