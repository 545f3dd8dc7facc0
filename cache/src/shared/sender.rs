//! Sends records behind a run, one after the other, on a thread that is started for the first of them. What cannot be sent
//! stays in the outbox for the next command.

use super::leases::Lease;
use super::publish::NotSent;
use super::remote::lock;
use crate::{Cache, CacheError, Key};
use std::collections::{HashSet, VecDeque};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Between two looks whether to go on waiting.
const LOOK: Duration = Duration::from_millis(50);

/// What waits to be sent, and whether a thread sends it.
#[derive(Debug, Default)]
pub(super) struct Sender {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<(Key, Option<Lease>)>,
    at_work: bool,
}

/// What is in the outbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unsent {
    /// How many records.
    pub records: u64,
    /// The length of their outputs in bytes.
    pub bytes: u64,
}

impl Cache {
    /// Notes that a record is about to be committed and has to be sent then: a process that is killed in between leaves the
    /// note.
    pub(crate) fn will_send(&self, key: Key) {
        if let Some(shared) = self.shared() {
            shared.marks.to_send(key);
        }
    }

    /// Has a record sent behind the run. Its lease ends when the record is there.
    pub(crate) fn send(&self, key: Key, lease: Option<Lease>) {
        match self.shared() {
            Some(shared) => {
                let mut state = lock(&shared.sender.state);
                state.waiting.push_back((key, lease));
                self.work(&mut state);
            }
            None => lease.into_iter().for_each(Lease::settle),
        }
    }

    /// Has what earlier commands left in the outbox sent behind the run. Starts nothing if that is nothing.
    ///
    /// # Errors
    /// The outbox cannot be read.
    pub fn send_waiting(&self) -> Result<(), CacheError> {
        let Some(shared) = self.shared() else { return Ok(()) };
        let mut state = lock(&shared.sender.state);
        let known: HashSet<Key> = state.waiting.iter().map(|(key, _)| *key).collect();
        let waiting = shared.marks.outbox()?.into_iter().filter(|key| !known.contains(key));
        state.waiting.extend(waiting.map(|key| (key, None)));
        if !state.waiting.is_empty() {
            self.work(&mut state);
        }
        Ok(())
    }

    fn work(&self, state: &mut State) {
        if !std::mem::replace(&mut state.at_work, true) {
            let cache = self.clone();
            thread::spawn(move || cache.send_all());
        }
    }

    fn send_all(&self) {
        let Some(shared) = self.shared() else { return };
        loop {
            let mut state = lock(&shared.sender.state);
            let Some((key, lease)) = state.waiting.pop_front() else {
                state.at_work = false;
                shared.sender.changed.notify_all();
                return;
            };
            drop(state);
            match shared.publish(self, key) {
                Ok(sent) => {
                    tracing::debug!(%key, ?sent, "a record was sent");
                    lease.into_iter().for_each(Lease::settle);
                }
                Err(NotSent::There(error)) => shared.say_trouble(&error),
                Err(error) => tracing::warn!(%key, %error, "a record was not sent"),
            }
        }
    }

    /// Waits until everything is sent that can be, or until `go_on`, which is asked about every 50 ms, says no. What is in
    /// the outbox then.
    ///
    /// # Errors
    /// The outbox cannot be read.
    pub fn finish_sending(&self, go_on: &mut dyn FnMut() -> bool) -> Result<Unsent, CacheError> {
        let Some(shared) = self.shared() else {
            self.leave();
            return Ok(Unsent::default());
        };
        let mut state = lock(&shared.sender.state);
        while state.at_work && go_on() {
            let waited = shared.sender.changed.wait_timeout(state, LOOK);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(state);
        self.leave();
        self.unsent()
    }

    /// From now on this process computes nothing that others would wait for.
    fn leave(&self) {
        if let Some(leases) = self.leases() {
            leases.leave();
        }
    }

    /// What is in the outbox.
    ///
    /// # Errors
    /// The outbox cannot be read.
    pub fn unsent(&self) -> Result<Unsent, CacheError> {
        let Some(shared) = self.shared() else { return Ok(Unsent::default()) };
        let mut unsent = Unsent::default();
        for key in shared.marks.outbox()? {
            if let Some(record) = crate::record::read(self.layout(), key)? {
                unsent.records += 1;
                unsent.bytes += record.outputs.values().map(|output| output.bytes).sum::<u64>();
            }
        }
        Ok(unsent)
    }
}
