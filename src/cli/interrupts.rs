//! Signals that ask a run to stop: Ctrl-C, SIGTERM, and SIGHUP of a terminal that is closed. They are heeded on a thread of
//! their own, which never writes and never waits, so that nothing that blocks the run can keep them from being heeded.

use crate::exit::{Exit, Fault};
use crate::note::say;
use crate::schedule::Interrupts;
use crate::terminal;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGTSTP, SIGUSR1, SIGUSR2};
use signal_hook::low_level;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::{Duration, Instant};

/// How long the frame of a run that ends at once may take to go away.
const ERASING: Duration = Duration::from_millis(100);
/// The signals that a pilot gets within this time mean one thing: the batch system, its script and its group each send some.
const TOGETHER: Duration = Duration::from_secs(10);

/// The signals of a run.
pub struct Signals {
    over: Arc<AtomicBool>,
    first: Arc<AtomicI32>,
    /// A run that is not at work yet is ended by its first signal; whoever takes this first decides which of the two it is.
    taken: Arc<AtomicBool>,
}

/// What a signal means to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// It has stages that save.
    Computes,
    /// It is a pilot: batch systems announce the end of its time by SIGUSR1 and SIGUSR2 too, and may send several signals for it.
    Pilot,
    /// It watches pilots, which only Ctrl-C is for as well.
    Watches,
    /// It waits for an answer.
    Asks,
}

impl Manner {
    /// What is said at the first signal.
    fn words(self, signal: i32) -> Option<&'static str> {
        match (self, signal) {
            (Manner::Computes | Manner::Pilot, _) => {
                Some("stopping: running stages save their checkpoints; again to stop at once")
            }
            (Manner::Watches, SIGINT) => Some("stopping: the pilots save their checkpoints; again to cancel them"),
            (Manner::Watches | Manner::Asks, _) => None,
        }
    }
}

/// The last words on a run that a signal ends before anything runs.
type LastWords = Box<dyn FnOnce(Exit) + Send>;

impl Signals {
    /// Raises these interrupts at each signal. The third ends the process at once, whatever it is doing.
    pub fn listen(interrupts: &Interrupts, manner: Manner) -> Result<Self, Fault> {
        Self::heed(interrupts, manner, None)
    }

    /// As [`Signals::listen`], for a run that has to prepare first: it digests files, downloads and plans, which may take
    /// long and loses nothing when it is cut off. Until [`Signals::begin`] the first signal ends the process after
    /// `last_words`.
    pub fn listen_from_the_start(
        interrupts: &Interrupts,
        manner: Manner,
        last_words: impl FnOnce(Exit) + Send + 'static,
    ) -> Result<Self, Fault> {
        Self::heed(interrupts, manner, Some(Box::new(last_words)))
    }

    fn heed(interrupts: &Interrupts, manner: Manner, mut last_words: Option<LastWords>) -> Result<Self, Fault> {
        let hangup = Some(SIGHUP).filter(|_| !is_ignored(SIGHUP));
        let of_batch = [SIGUSR1, SIGUSR2].into_iter().filter(|_| manner == Manner::Pilot);
        let asked = [SIGINT, SIGTERM, SIGTSTP].into_iter().chain(hangup).chain(of_batch);
        let mut signals = signal_hook::iterator::Signals::new(asked)?;
        let (raised, over, first) = (interrupts.clone(), Arc::new(AtomicBool::new(false)), Arc::new(AtomicI32::new(0)));
        let (is_over, noted) = (over.clone(), first.clone());
        let taken = Arc::new(AtomicBool::new(last_words.is_none()));
        let claim = taken.clone();
        std::thread::spawn(move || {
            let mut begun: Option<Instant> = None;
            for signal in signals.forever() {
                let signal = if [SIGUSR1, SIGUSR2].contains(&signal) { SIGTERM } else { signal };
                if signal == SIGTSTP {
                    // Ctrl-Z: the shell writes where the frame is.
                    without_frame(terminal::suspend);
                    let _ = low_level::emulate_default_handler(SIGTSTP);
                    terminal::resume();
                    continue;
                }
                let first = *begun.get_or_insert_with(Instant::now);
                if manner == Manner::Pilot && raised.count() > 0 && first.elapsed() < TOGETHER {
                    continue;
                }
                let _ = noted.compare_exchange(0, signal, Ordering::SeqCst, Ordering::SeqCst);
                raised.raise();
                if raised.count() > 2 || is_over.load(Ordering::SeqCst) {
                    without_frame(terminal::over);
                    low_level::exit(Exit::of_signal(noted.load(Ordering::SeqCst)) as i32);
                }
                if let Some(last_words) = last_words.take()
                    && !claim.swap(true, Ordering::SeqCst)
                {
                    // Whoever reads them may have stopped reading.
                    std::thread::spawn(move || {
                        without_frame(terminal::over);
                        let exit = Exit::of_signal(signal);
                        last_words(exit);
                        low_level::exit(exit as i32);
                    });
                } else if raised.count() == 1
                    && let Some(words) = manner.words(signal)
                {
                    // Whoever reads this may have stopped reading.
                    std::thread::spawn(move || say(words));
                }
            }
        });
        Ok(Signals { over, first, taken })
    }

    /// The run goes to work: from now on a signal asks it to stop. Does not return where one has ended it.
    pub fn begin(&self) {
        if self.taken.swap(true, Ordering::SeqCst) {
            loop {
                std::thread::park();
            }
        }
    }

    /// How a run ends that was stopped: by the first of its signals.
    pub fn first(&self) -> Exit {
        Exit::of_signal(self.first.load(Ordering::SeqCst))
    }

    /// The run is over, and only words are left to be written: from now on a signal ends the process.
    pub fn over(&self) {
        self.over.store(true, Ordering::SeqCst);
    }
}

/// Takes the frame away, unless the terminal does not take what is written to it.
fn without_frame(take_away: fn()) {
    let erased = std::thread::spawn(take_away);
    let mut waited = Duration::ZERO;
    while !erased.is_finished() && waited < ERASING {
        std::thread::sleep(Duration::from_millis(1));
        waited += Duration::from_millis(1);
    }
}

/// Whether this process was started with a signal ignored, as `nohup` does with SIGHUP.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (signal - 1)) != 0)
}
