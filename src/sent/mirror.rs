//! Carries what the processes of a run tell each other to and from the remote, on a thread of its own, while the run goes on.
//! Knows not what they say, and no queue.

use super::carried::{Carried, End};
use ddpipe_cache::shared::{Notes, Pace, StoreError};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Between two looks at what is new here, which asks the remote for nothing.
const LOOK: Duration = Duration::from_millis(100);
/// Between two looks at what is new there; sooner where hearts beat faster.
const LOOK_FAR: Duration = Duration::from_secs(5);

/// What the thread is asked for.
enum Ask {
    /// To carry everything now, and to say so.
    Carry(Sender<()>),
    /// To carry everything once more, and to end.
    End,
}

/// The exchange of one process. Dropping it carries everything once more.
pub struct Mirror {
    asks: Sender<Ask>,
    is_lost: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Mirror {
    /// Of a pilot: `folder` has its copy of the run's folder, `part` is the folder of its own part, which the others call
    /// `name`. `lost` is called when the remote has not answered for so long that it was given up.
    pub fn of_pilot(
        notes: Notes,
        folder: PathBuf,
        part: PathBuf,
        name: String,
        lost: impl Fn(&StoreError) + Send + 'static,
    ) -> Self {
        Self::begin(Carried::new(notes, folder, End::Pilot { part, name }), lost)
    }

    /// Of the command that watches: `folder` is the run's folder, `runs` that of all runs.
    pub fn of_watcher(
        notes: Notes,
        folder: PathBuf,
        runs: PathBuf,
        lost: impl Fn(&StoreError) + Send + 'static,
    ) -> Self {
        Self::begin(Carried::new(notes, folder, End::Watcher { runs }), lost)
    }

    fn begin(carried: Carried, lost: impl Fn(&StoreError) + Send + 'static) -> Self {
        let (asks, asked) = mpsc::channel();
        let is_lost = Arc::new(AtomicBool::new(false));
        let noted = is_lost.clone();
        let thread = thread::spawn(move || {
            if let Err(error) = carry_on(carried, &asked) {
                noted.store(true, Ordering::SeqCst);
                lost(&error);
            }
        });
        Mirror { asks, is_lost, thread: Some(thread) }
    }

    /// What carries everything when it is called.
    pub fn carrier(&self) -> impl Fn() + 'static {
        let asks = self.asks.clone();
        move || carry(&asks)
    }

    /// Whether the remote was given up: nobody is heard any more, and nobody hears this process.
    pub fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::SeqCst)
    }

    /// Carries everything now; returns when that is done, or the remote was given up.
    pub fn carry(&self) {
        carry(&self.asks);
    }
}

fn carry(asks: &Sender<Ask>) {
    let (done, is_done) = mpsc::channel();
    if asks.send(Ask::Carry(done)).is_ok() {
        // Closed without a word where the remote was given up.
        let _ = is_done.recv();
    }
}

/// Carries until it is told to end.
///
/// # Errors
/// The remote was given up: it was asked again for as long as this process waits.
fn carry_on(mut carried: Carried, asked: &Receiver<Ask>) -> Result<(), StoreError> {
    let pause = Pace::of_environment().interval.min(LOOK_FAR);
    let (mut looked, mut said): (Option<Instant>, Option<StoreError>) = (None, None);
    loop {
        let ask = match asked.recv_timeout(LOOK) {
            Ok(ask) => Some(ask),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Ask::End),
        };
        let is_due = ask.is_some() || looked.is_none_or(|looked| looked.elapsed() >= pause);
        let carries = if is_due { carried.carry() } else { carried.send_news() };
        if is_due {
            looked = Some(Instant::now());
        }
        match carries {
            Ok(()) => {}
            Err(error @ (StoreError::Unavailable(_) | StoreError::Denied(_) | StoreError::NoSuchPlace(_))) => {
                return Err(error);
            }
            Err(error) if said.as_ref() == Some(&error) => {}
            Err(error) => {
                tracing::warn!("what the processes of the run tell each other is not carried now: {error}");
                said = Some(error);
            }
        }
        match ask {
            Some(Ask::End) => return Ok(()),
            // Who asked may be gone.
            Some(Ask::Carry(done)) => drop(done.send(())),
            None => {}
        }
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        let _ = self.asks.send(Ask::End);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
