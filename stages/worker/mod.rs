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
mod scratch;
mod serve;
mod store;

use anyhow::Result;
use std::process::ExitCode;
use tch::Device;

/// The whole program: reads the command line, runs to its end and gives the exit code. To be called first in `main`,
/// before the process has a second thread and before anything touches libtorch.
pub fn main() -> ExitCode {
    // Before anything else: threads inherit the signal mask, and libraries read the environment as they load.
    let signals = interrupts::block_signals();
    device::set_environment();
    let args = args::parse();
    let done = match (args.session, args.numerics) {
        (Some(session), _) => signals.and_then(|signals| serve::serve(&session, signals)),
        (None, Some((device, threads))) => numerics(device, threads).map(|line| println!("{line}")),
        (None, None) => device::probe().map(|line| println!("{line}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ddpipe-worker: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// One line of JSON: the numerics of this process on a device.
fn numerics(device: Device, threads: u16) -> Result<String> {
    Ok(serde_json::to_string(&device::open(device, threads)?.numerics)?)
}
