//! Requests, and trying them again. What a store refuses is not asked for again; one that does not answer is waited for, so
//! long in all, and then nothing more is asked of it by this process.

use super::remote::{Patience, lock};
use super::store::{Store, StoreError};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A store and the patience that is left.
#[derive(Debug)]
pub(super) struct Asking {
    store: Arc<dyn Store>,
    patience: Patience,
    state: Mutex<State>,
    /// Whether a request was ever made.
    asked: AtomicBool,
}

#[derive(Debug)]
struct State {
    left: Duration,
    /// Why nothing more is asked.
    given_up: Option<StoreError>,
    /// Whether that was said.
    said: bool,
}

impl Asking {
    pub fn new(store: Arc<dyn Store>, patience: Patience) -> Self {
        let state = State { left: patience.in_all, given_up: None, said: false };
        Asking { store, patience, state: Mutex::new(state), asked: AtomicBool::new(false) }
    }

    pub fn url(&self) -> &str {
        self.store.url()
    }

    /// Makes a request, and again while the store does not answer.
    pub fn ask<T>(&self, mut request: impl FnMut(&dyn Store) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut pause = self.patience.first;
        loop {
            if let Some(error) = lock(&self.state).given_up.clone() {
                return Err(error);
            }
            tracing::debug!(url = self.url(), "a request");
            self.asked.store(true, Ordering::Relaxed);
            match request(&*self.store) {
                Err(error @ StoreError::Unavailable(_)) => {
                    self.wait(pause, &error)?;
                    pause = (pause * 2).min(self.patience.longest);
                }
                Err(error @ (StoreError::Denied(_) | StoreError::NoSuchPlace(_) | StoreError::Full(_))) => {
                    lock(&self.state).given_up = Some(error.clone());
                    return Err(error);
                }
                answered => return answered,
            }
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

    /// Pauses, if there is patience left.
    fn wait(&self, pause: Duration, error: &StoreError) -> Result<(), StoreError> {
        let mut state = lock(&self.state);
        if state.left.is_zero() {
            state.given_up = Some(error.clone());
            return Err(error.clone());
        }
        let pause = pause.min(state.left);
        state.left -= pause;
        drop(state);
        tracing::info!(url = self.url(), %error, ?pause, "asked again after a pause");
        thread::sleep(pause);
        Ok(())
    }

    /// Why nothing more is asked, the first time that somebody wants to know.
    pub fn gave_up(&self) -> Option<StoreError> {
        let mut state = lock(&self.state);
        let error = state.given_up.clone().filter(|_| !state.said);
        state.said |= error.is_some();
        error
    }
}
