//! The numerics of the workers of a run, for pipelines that are strict about them. Only a worker knows its libtorch, so one
//! is asked before anything is planned.

use crate::executor::{runtime, worker_program};
use crate::exit::{Exit, Fault};
use crate::slots::Slots;
use ddpipe_cache::Numerics;
use std::process::{Command, Stdio};

/// The numerics of these slots, as text.
///
/// # Errors
/// There is no worker, it cannot say its numerics, or the slots have different ones.
pub fn of(slots: &Slots) -> Result<String, Fault> {
    let mut devices = slots.names.clone();
    devices.dedup();
    let all: Vec<String> = devices.iter().map(|device| ask(device, slots.threads)).collect::<Result<_, Fault>>()?;
    match all.split_first() {
        Some((first, others)) if others.iter().all(|other| other == first) => Ok(first.clone()),
        _ => Err(Fault::usage(format!(
            "numerics are strict, and the devices {} do not compute alike\n  name devices of one kind with --device, or run \
             with --numerics loose",
            devices.join(", ")
        ))),
    }
}

fn ask(device: &str, threads: usize) -> Result<String, Fault> {
    let fault = |message: String| Fault { exit: Exit::Stage, message };
    let program = worker_program().map_err(|error| fault(error.message))?;
    let failed =
        |why: &str| fault(format!("{} did not say its numerics: {why}\n  run ddpipe doctor", program.display()));
    let mut command = Command::new(&program);
    command.arg("--numerics").arg(format!("{device},{threads}")).envs(runtime(threads)).stdin(Stdio::null());
    let output = command.output().map_err(|error| failed(&error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim()));
    }
    let numerics: Numerics = serde_json::from_slice(&output.stdout).map_err(|error| failed(&error.to_string()))?;
    Ok(numerics.canonical())
}
