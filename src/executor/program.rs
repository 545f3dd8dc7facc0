//! The program of the workers: where it is, and the environment that it is started in.

use super::StartError;
use crate::program::on_path;
use std::path::PathBuf;

/// `$DDPIPE_WORKER`, or the program beside this one, or the one on the path.
pub fn worker_program() -> Result<PathBuf, StartError> {
    if let Some(path) = std::env::var_os("DDPIPE_WORKER") {
        return Ok(path.into());
    }
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join("ddpipe-worker")));
    if let Some(path) = beside.filter(|path| path.is_file()) {
        return Ok(path);
    }
    on_path("ddpipe-worker").ok_or_else(|| StartError {
        message: "the program ddpipe-worker is neither beside ddpipe nor on the path".into(),
        hint: Some(
            "build ddpipe with its feature `worker`, which is on by default, or name the program in DDPIPE_WORKER"
                .into(),
        ),
    })
}

/// How the worker's OpenMP and allocator behave, unless the user says it. Both read their environment before the program
/// begins, so this cannot wait for the worker. Threads that spin while they wait made a step 13 times slower on two busy
/// cores; an allocator that gives every tensor's memory back to the system took 2.0 s of system time for 20 steps of
/// distribution matching, against 0.14 s with these thresholds.
pub fn runtime(threads: usize) -> impl Iterator<Item = (&'static str, String)> {
    let settings = [
        ("OMP_NUM_THREADS", threads.to_string()),
        ("OMP_WAIT_POLICY", "PASSIVE".to_string()),
        ("MALLOC_MMAP_THRESHOLD_", (1u64 << 30).to_string()),
        ("MALLOC_TRIM_THRESHOLD_", (1u64 << 32).to_string()),
    ];
    settings.into_iter().filter(|(name, _)| std::env::var_os(name).is_none())
}
