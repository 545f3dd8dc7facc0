//! Signals that ask a run to stop: Ctrl-C, SIGTERM, and SIGHUP of a terminal that is closed. They are heeded on a thread of
//! their own, which never writes and never waits, so that nothing that blocks the run can keep them from being heeded.

use crate::exit::{Exit, Fault};
use crate::note::say;
use crate::schedule::Interrupts;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The signals of a run.
pub struct Signals {
    over: Arc<AtomicBool>,
}

impl Signals {
    /// Raises these interrupts at each signal. The third ends the process at once, whatever it is doing.
    pub fn listen(interrupts: &Interrupts) -> Result<Self, Fault> {
        let hangup = Some(SIGHUP).filter(|_| !is_ignored(SIGHUP));
        let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM].into_iter().chain(hangup))?;
        let (raised, over) = (interrupts.clone(), Arc::new(AtomicBool::new(false)));
        let is_over = over.clone();
        std::thread::spawn(move || {
            for _ in signals.forever() {
                raised.raise();
                if raised.count() > 2 || is_over.load(Ordering::SeqCst) {
                    signal_hook::low_level::exit(Exit::Interrupted as i32);
                }
                if raised.count() == 1 {
                    // Whoever reads this may have stopped reading.
                    std::thread::spawn(|| {
                        say("stopping: running stages save their checkpoints; again to stop at once");
                    });
                }
            }
        });
        Ok(Signals { over })
    }

    /// The run is over, and only words are left to be written: from now on a signal ends the process.
    pub fn over(&self) {
        self.over.store(true, Ordering::SeqCst);
    }
}

/// Whether this process was started with a signal ignored, as `nohup` does with SIGHUP.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (signal - 1)) != 0)
}
