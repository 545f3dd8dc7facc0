//! Carries what the processes of a run tell each other to and from the remote, on a thread of its own, while the run goes on.

use super::carried::{Carried, End};
use ddpipe_cache::shared::{Notes, Pace, StoreError};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Between two looks at what is new here, which asks the remote for nothing.
const LOOK: Duration = Duration::from_millis(100);
/// Between two looks at what is new there; sooner where hearts beat faster.
const LOOK_FAR: Duration = Duration::from_secs(5);

/// The exchange of one process. Dropping it carries everything once more.
pub struct Mirror {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Whether the process is at its end.
    ends: bool,
    /// How often somebody wanted everything to be carried at once, and how often it was.
    wanted: u64,
    done: u64,
    /// Whether the remote was given up.
    is_lost: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a change, but not longer than this.
    fn wait<'a>(&self, state: MutexGuard<'a, State>, longest: Duration) -> MutexGuard<'a, State> {
        self.changed.wait_timeout(state, longest).unwrap_or_else(PoisonError::into_inner).0
    }
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
        let shared = Arc::new(Shared::default());
        let of_thread = shared.clone();
        let thread = thread::spawn(move || of_thread.carry_on(carried, lost));
        Mirror { shared, thread: Some(thread) }
    }

    /// What carries everything when it is called.
    pub fn carrier(&self) -> impl Fn() + 'static {
        let shared = self.shared.clone();
        move || shared.carry()
    }

    /// Whether the remote was given up: nobody is heard any more, and nobody hears this process.
    pub fn is_lost(&self) -> bool {
        self.shared.state().is_lost
    }

    /// Carries everything now; returns when that is done, or the remote does not answer.
    pub fn carry(&self) {
        self.shared.carry();
    }
}

impl Shared {
    fn carry(&self) {
        let mut state = self.state();
        state.wanted += 1;
        let wanted = state.wanted;
        self.changed.notify_all();
        while state.done < wanted && !state.is_lost && !state.ends {
            state = self.wait(state, LOOK);
        }
    }

    fn carry_on(&self, mut carried: Carried, lost: impl Fn(&StoreError)) {
        let pause = Pace::of_environment().interval.min(LOOK_FAR);
        let (mut looked, mut said): (Option<Instant>, Option<StoreError>) = (None, None);
        loop {
            let (ends, wanted, done) = {
                let state = self.state();
                (state.ends, state.wanted, state.done)
            };
            let is_due = ends || wanted > done || looked.is_none_or(|looked| looked.elapsed() >= pause);
            let carries = if is_due { carried.carry() } else { carried.send_news() };
            if is_due {
                looked = Some(Instant::now());
            }
            match carries {
                Ok(()) => {}
                // It was asked again for as long as this process waits.
                Err(error @ (StoreError::Unavailable(_) | StoreError::Denied(_) | StoreError::NoSuchPlace(_))) => {
                    self.state().is_lost = true;
                    self.changed.notify_all();
                    return lost(&error);
                }
                Err(error) if said.as_ref() == Some(&error) => {}
                Err(error) => {
                    tracing::warn!("what the processes of the run tell each other is not carried now: {error}");
                    said = Some(error);
                }
            }
            let mut state = self.state();
            state.done = state.done.max(wanted);
            self.changed.notify_all();
            if ends {
                return;
            }
            if state.wanted == state.done && !state.ends {
                drop(self.wait(state, LOOK));
            }
        }
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        self.shared.state().ends = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
