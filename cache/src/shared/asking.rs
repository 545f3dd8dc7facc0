//! Requests, and trying them again. What a store refuses is not asked for again; one that does not answer is waited for, so
//! long in all, and then nothing more is asked of it by this process. A store that takes nothing may still be read.

use super::remote::{Patience, lock};
use super::store::{Store, StoreError};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// So many answers earn back one first pause.
const EARNED: u32 = 4;
/// A request that fails after so long is told at once.
const LONG: Duration = Duration::from_secs(2);

/// So long a store is waited for once the user wants to go.
const HURRIED: Duration = Duration::from_secs(10);
/// Between two looks whether that is so.
const LOOK: Duration = Duration::from_millis(100);

/// Says whether the user wants to go.
#[derive(Clone, Default)]
pub struct Hurry(Option<Arc<dyn Fn() -> bool + Send + Sync>>);

impl Hurry {
    /// One that is asked whether the user wants to go.
    pub fn when(wants_to_go: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Hurry(Some(Arc::new(wants_to_go)))
    }

    fn is_there(&self) -> bool {
        self.0.as_ref().is_some_and(|wants_to_go| wants_to_go())
    }
}

impl fmt::Debug for Hurry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hurry")
    }
}

/// A store and the patience that is left.
#[derive(Debug)]
pub(super) struct Asking {
    store: Arc<dyn Store>,
    patience: Patience,
    hurry: Hurry,
    state: Mutex<State>,
    /// Whether a request was ever made.
    asked: AtomicBool,
}

#[derive(Debug)]
struct State {
    left: Duration,
    /// Until when pauses are counted: those of requests at the same time are one.
    counted: Option<Instant>,
    /// Why nothing more is asked.
    given_up: Option<StoreError>,
    /// Why nothing more is written.
    closed: Option<StoreError>,
    /// What of that was said.
    said: Option<GaveUp>,
    /// Whether it was said that the store does not answer.
    warned: bool,
    /// Whether it ever did.
    has_answered: bool,
}

/// What a process does without from now on, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum GaveUp {
    /// Writing to the store.
    Writing(StoreError),
    /// The store.
    All(StoreError),
}

impl Asking {
    pub fn new(store: Arc<dyn Store>, patience: Patience) -> Self {
        let state = State {
            left: patience.in_all,
            counted: None,
            given_up: None,
            closed: None,
            said: None,
            warned: false,
            has_answered: false,
        };
        let (state, hurry) = (Mutex::new(state), Hurry::default());
        Asking { store, patience, hurry, state, asked: AtomicBool::new(false) }
    }

    pub fn in_a_hurry(self, hurry: Hurry) -> Self {
        Asking { hurry, ..self }
    }

    pub fn url(&self) -> &str {
        self.store.url()
    }

    /// Makes a request that changes nothing, and again while the store does not answer.
    pub fn ask<T>(&self, mut request: impl FnMut(&dyn Store) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let refused = |error: &StoreError, state: &mut State| {
            if matches!(error, StoreError::Denied(_) | StoreError::NoSuchPlace(_) | StoreError::Full(_)) {
                state.given_up = Some(error.clone());
            }
        };
        self.request(&mut request, &refused)
    }

    /// Makes a request that writes or deletes, likewise. One that is refused is the last of its sort.
    pub fn change<T>(&self, mut request: impl FnMut(&dyn Store) -> Result<T, StoreError>) -> Result<T, StoreError> {
        if let Some(error) = lock(&self.state).closed.clone() {
            return Err(error);
        }
        let refused = |error: &StoreError, state: &mut State| match error {
            StoreError::Denied(_) | StoreError::Full(_) => state.closed = Some(error.clone()),
            StoreError::NoSuchPlace(_) => state.given_up = Some(error.clone()),
            _ => {}
        };
        self.request(&mut request, &refused)
    }

    fn request<T>(
        &self,
        request: &mut dyn FnMut(&dyn Store) -> Result<T, StoreError>,
        refused: &dyn Fn(&StoreError, &mut State),
    ) -> Result<T, StoreError> {
        let mut pause = self.patience.first;
        let mut failed = 0;
        loop {
            if let Some(error) = lock(&self.state).given_up.clone() {
                return Err(error);
            }
            tracing::debug!(url = self.url(), "a request");
            self.asked.store(true, Ordering::Relaxed);
            let asked = Instant::now();
            match request(&*self.store) {
                Err(error) if self.waits_for(&error) => {
                    failed += 1;
                    // That one request is refused is no news: stores do that now and then.
                    let is_news = failed > 1 || asked.elapsed() > LONG;
                    self.wait(pause, is_news, &error)?;
                    pause = (pause * 2).min(self.patience.longest);
                }
                Err(error) => {
                    refused(&error, &mut lock(&self.state));
                    return Err(error);
                }
                answered => {
                    self.be_patient_again();
                    return answered;
                }
            }
        }
    }

    /// Whether a request that was answered so is made again.
    fn waits_for(&self, error: &StoreError) -> bool {
        match error {
            StoreError::Unavailable(_) => true,
            StoreError::Denied(_) | StoreError::NoSuchPlace(_) => {
                self.patience.stubborn && lock(&self.state).has_answered
            }
            StoreError::Full(_) | StoreError::Other(_) => false,
        }
    }

    /// A store that answers earns back some of the patience that its refusals have cost: one that is asked for too much now and
    /// then is not given up.
    fn be_patient_again(&self) {
        let mut state = lock(&self.state);
        state.has_answered = true;
        if state.left < self.patience.in_all {
            state.left = (state.left + self.patience.first / EARNED).min(self.patience.in_all);
        }
    }

    /// Whether a request was ever made.
    pub fn was_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Pauses for something that will soon be over there.
    pub fn rest(&self, times: u32) {
        thread::sleep((self.patience.first * times).min(self.patience.longest));
    }

    /// Pauses, if there is patience left, and says so once if it is news.
    fn wait(&self, pause: Duration, is_news: bool, error: &StoreError) -> Result<(), StoreError> {
        let mut state = lock(&self.state);
        let hurried = self.hurry.is_there();
        if hurried {
            state.left = state.left.min(HURRIED);
        }
        if state.left.is_zero() {
            state.given_up = Some(error.clone());
            return Err(error.clone());
        }
        if is_news && !std::mem::replace(&mut state.warned, true) {
            let (url, left) = (self.url(), self.patience.in_all);
            tracing::warn!("the remote {url} {error}; it is asked again, for {left:?} in all");
        }
        let pause = pause.min(state.left);
        let (now, end) = (Instant::now(), Instant::now() + pause);
        let counted = state.counted.map_or(now, |counted| counted.max(now));
        state.left = state.left.saturating_sub(end.saturating_duration_since(counted));
        state.counted = Some(counted.max(end));
        drop(state);
        tracing::info!(url = self.url(), %error, ?pause, "asked again after a pause");
        while let Some(rest) = end.checked_duration_since(Instant::now()).filter(|rest| !rest.is_zero()) {
            thread::sleep(rest.min(LOOK));
            if !hurried && self.hurry.is_there() {
                break;
            }
        }
        Ok(())
    }

    /// Asks for nothing more: the store cannot be relied on.
    pub fn give_up(&self, error: &StoreError) {
        lock(&self.state).given_up.get_or_insert_with(|| error.clone());
    }

    /// Why nothing more is asked.
    pub fn given_up(&self) -> Option<StoreError> {
        lock(&self.state).given_up.clone()
    }

    /// What was given up, the first time that somebody wants to know.
    pub fn gave_up(&self) -> Option<GaveUp> {
        let mut state = lock(&self.state);
        let all = state.given_up.clone().map(GaveUp::All);
        let now =
            all.or_else(|| state.closed.clone().map(GaveUp::Writing)).filter(|now| state.said.as_ref() != Some(now))?;
        state.said = Some(now.clone());
        Some(now)
    }
}
