//! What a run reaches, noted in the remote: its results are then kept there. Each process has one list, which it writes again
//! while it goes on, seldom, and at its end; one that never asked the remote for anything writes none.

use super::asking::Asking;
use super::remote::lock;
use super::store::StoreError;
use crate::{Key, sealed};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The folder of these lists in a store.
pub const FOLDER: &str = "reached-v1";
/// No list is longer.
pub(super) const LIMIT: u64 = 256 << 20;

/// One process's list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reached {
    /// The run.
    pub run: String,
    /// Its pipeline.
    pub pipeline: String,
    /// The keys whose records it used or made.
    pub keys: BTreeSet<Key>,
}

/// The list of this process, and what of it is written.
#[derive(Debug, Default)]
pub(super) struct Reaches {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    reached: Reached,
    written: Option<(usize, Instant)>,
}

impl Reaches {
    pub fn add(&self, run: &str, pipeline: &str, keys: &[Key]) {
        let reached = &mut lock(&self.state).reached;
        (reached.run, reached.pipeline) = (run.to_string(), pipeline.to_string());
        reached.keys.extend(keys);
    }

    /// Writes the list under this holder's name, if something is new and the last writing was so long ago.
    pub fn show(&self, asking: &Asking, holder: &str, after: Duration) -> Result<(), StoreError> {
        let state = lock(&self.state);
        let count = state.reached.keys.len();
        let is_due = state.written.is_none_or(|(written, when)| count > written && when.elapsed() >= after);
        if count == 0 || !is_due {
            return Ok(());
        }
        let text = sealed::seal_large(&state.reached).map_err(|error| StoreError::Other(error.to_string()))?;
        drop(state);
        asking.change(|store| store.put(&object(holder), text.len() as u64, &mut text.as_slice()))?;
        lock(&self.state).written = Some((count, Instant::now()));
        Ok(())
    }
}

/// The name of a holder's list.
pub(super) fn object(holder: &str) -> String {
    format!("{FOLDER}/{holder}")
}
