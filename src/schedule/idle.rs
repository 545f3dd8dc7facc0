//! A pilot that only waits for the others of its run leaves: what it holds of the machine is worth more to somebody else. When
//! one of the others is lost, another is started in its place.

use super::Scheduler;
use std::time::{Duration, Instant};

/// Between two looks at what others have begun.
const LOOK: Duration = Duration::from_secs(1);

/// Since when a process only waits.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Idle {
    since: Option<Instant>,
    looked: Option<Instant>,
}

impl Scheduler<'_> {
    /// Has this process save and leave when it has only waited for others for long.
    pub(super) fn leave_if_idle(&mut self) {
        if self.idle.looked.is_some_and(|looked| looked.elapsed() < LOOK.min(self.patience.idle)) {
            return;
        }
        let since = self.only_waits().then(|| self.idle.since.unwrap_or_else(Instant::now));
        self.idle = Idle { since, looked: Some(Instant::now()) };
        if since.is_some_and(|since| since.elapsed() > self.patience.idle) {
            tracing::info!("only nodes are left that other pilots are at; leaves");
            self.interrupts.raise();
        }
    }

    /// Whether every node that could be computed now is begun in another process of this run.
    fn only_waits(&self) -> bool {
        let Some(peers) = self.peers.as_ref().filter(|peers| peers.is_pilot()) else { return false };
        if self.stopping || self.states.any_busy() || self.commits.are_open() {
            return false;
        }
        let ready = self.states.ready_in_order();
        !ready.is_empty() && ready.iter().all(|node| peers.is_begun_elsewhere(&self.pipeline.node(*node).address()))
    }
}
