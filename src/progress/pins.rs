//! Keeps what a run made safe from a garbage collection beside it: every committed record is pinned at once.

use crate::event::{Event, Observer, Status};
use ddpipe_cache::RunDir;
use std::rc::Rc;

/// Pins the records of nodes that ran.
pub struct Pins {
    run: Rc<RunDir>,
}

impl Pins {
    /// An observer that pins records for this run.
    pub fn new(run: Rc<RunDir>) -> Self {
        Pins { run }
    }
}

impl Observer for Pins {
    fn on_event(&mut self, event: &Event) {
        let Event::Finished(outcome) = event else { return };
        let key = outcome.key.as_ref().filter(|_| outcome.status == Status::Ran).and_then(|key| key.parse().ok());
        if let Some(key) = key
            && let Err(error) = self.run.pin(&[key])
        {
            tracing::warn!("{error}");
        }
    }
}
