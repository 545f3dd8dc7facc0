//! Who wants the running stage to stop: a `Cancel` from the engine, SIGTERM, or the end of the engine itself. Ctrl-C
//! in a terminal reaches the whole process group, and so do SIGUSR1 and SIGUSR2 by which batch systems announce the end of a
//! job's time; they are for the engine alone, so they are ignored here.

use anyhow::{Context as _, Result};
use ddpipe_interface::protocol::JobId;
use nix::sys::prctl;
use nix::sys::signal::{SigHandler, SigSet, Signal, signal};
use nix::unistd::{Pid, getppid};
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A stage that does not look at its [`Interrupts`] for this long is left behind by the worker's exit.
const GRACE: Duration = Duration::from_secs(60);

/// The jobs that are to stop.
#[derive(Debug, Default)]
pub struct Interrupts {
    everything: AtomicBool,
    /// The engine is gone.
    abandoned: AtomicBool,
    cancelled: Mutex<HashSet<JobId>>,
}

impl Interrupts {
    /// Whether this job should save a checkpoint and stop.
    pub fn wants_to_stop(&self, id: JobId) -> bool {
        self.everything.load(Ordering::Relaxed)
            || self.cancelled.lock().unwrap_or_else(PoisonError::into_inner).contains(&id)
    }

    /// Stops one job, now or when it comes.
    pub fn cancel(&self, id: JobId) {
        self.cancelled.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
    }

    /// Whether the engine is gone: nobody waits for what runs.
    pub fn abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed)
    }

    /// Stops whatever runs, for good, because the engine is gone.
    pub fn abandon(&self, why: &'static str) {
        self.abandoned.store(true, Ordering::Relaxed);
        self.end(why);
    }

    /// Stops whatever runs, for good. The process ends by itself soon, or is ended after a time of grace.
    pub fn end(&self, why: &'static str) {
        if !self.everything.swap(true, Ordering::Relaxed) {
            tracing::info!("{why}; stops");
            std::thread::spawn(move || {
                std::thread::sleep(GRACE);
                eprintln!("ddpipe-worker: {why}, and the running stage did not stop within {GRACE:?}; gives up");
                std::process::exit(1);
            });
        }
    }
}

/// Signals that reach the worker because it is in the group of the engine.
pub const FOR_THE_ENGINE: [Signal; 3] = [Signal::SIGINT, Signal::SIGUSR1, Signal::SIGUSR2];

/// The signals that a thread of their own waits for.
pub struct Signals {
    set: SigSet,
    parent: Pid,
}

/// Takes the signals away from all threads to come. To be called before any other thread exists.
pub fn block_signals() -> Result<Signals> {
    let mut set = SigSet::empty();
    set.add(Signal::SIGTERM);
    set.add(Signal::SIGHUP);
    set.thread_block().context("could not block signals")?;
    for of_engine in FOR_THE_ENGINE {
        // SAFETY: no handler is installed that could run in an unsuitable moment; the signal is only ignored.
        unsafe { signal(of_engine, SigHandler::SigIgn) }.context("could not ignore a signal")?;
    }
    let parent = getppid();
    // The second net, after the socket's end. SIGHUP, as it also comes when merely the engine's thread that started
    // this process ends: then the parent is still the same, and nothing has happened.
    prctl::set_pdeathsig(Signal::SIGHUP).context("could not ask for a signal at the engine's end")?;
    Ok(Signals { set, parent })
}

impl Signals {
    /// Waits for signals on a thread of its own; the first that means the end is handed to `stop`.
    pub fn watch(self, interrupts: Arc<Interrupts>, stop: impl FnOnce() + Send + 'static) {
        std::thread::spawn(move || {
            loop {
                match self.set.wait() {
                    Ok(Signal::SIGTERM) => interrupts.end("was told to terminate"),
                    Ok(Signal::SIGHUP) if getppid() != self.parent => interrupts.abandon("the engine ended"),
                    _ => continue,
                }
                return stop();
            }
        });
    }
}
