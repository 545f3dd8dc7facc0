//! What time brings: stages that say nothing for long, stages that take longer than they may, and workers that do not
//! stop when they are asked to.

use super::Scheduler;
use crate::event::Event;
use crate::executor::Death;
use crate::pipeline::NodeId;
use ddpipe_interface::protocol::Cause;
use std::time::{Duration, Instant};

/// Between two looks at the clocks: a worker may say much in the meantime.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// The clocks of one running node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clocks {
    /// When its worker last said anything about it.
    pub heard: Instant,
    /// How long it may be silent until that is said.
    silence: Duration,
    /// Since when it runs, or since when its outputs are being written.
    since: Instant,
    /// When it was asked to stop because it took too long.
    asked: Option<Instant>,
    /// Whether its worker was killed because it did not stop.
    killed: bool,
}

impl Clocks {
    /// Starts them.
    pub fn start(silence: Duration) -> Self {
        let now = Instant::now();
        Clocks { heard: now, silence, since: now, asked: None, killed: false }
    }

    /// A message came.
    pub fn hear(&mut self, silence: Duration) {
        (self.heard, self.silence) = (Instant::now(), silence);
    }

    /// The stage is over, and its outputs are being written: that has the same time once more.
    pub fn done(&mut self) {
        (self.since, self.asked) = (Instant::now(), None);
    }

    /// Whether it was asked to stop because it took too long.
    pub fn ran_out(&self) -> bool {
        self.asked.is_some()
    }
}

impl Scheduler<'_> {
    /// How long a node may take.
    fn timeout_of(&self, node: NodeId) -> Option<Duration> {
        self.pipeline.node(node).limits.timeout.or(self.patience.timeout)
    }

    /// Looks at the clocks of all nodes that a worker has.
    pub(super) fn watch_clocks(&mut self) {
        if self.looked.elapsed() < BETWEEN_LOOKS {
            return;
        }
        self.looked = Instant::now();
        for node in self.states.busy() {
            let (timeout, patience) = (self.timeout_of(node), self.patience);
            let Some(running) = self.states.running_mut(node) else { continue };
            let (slot, job) = (running.slot, running.job);
            let clocks = &mut running.clocks;
            let silent = clocks.heard.elapsed();
            let word = silent > clocks.silence;
            if word {
                clocks.silence = clocks.silence.saturating_mul(2);
            }
            let late = timeout.is_some_and(|timeout| clocks.since.elapsed() > timeout);
            let (asks, kills) = match clocks.asked {
                None => (late, false),
                Some(asked) => (false, !clocks.killed && asked.elapsed() > patience.grace),
            };
            clocks.killed |= kills;
            if asks {
                clocks.asked = Some(Instant::now());
            }
            let address = || self.pipeline.node(node).address();
            if asks {
                self.executor.cancel(slot, job);
            } else if kills {
                let how = format!("{}; it did not stop when asked to and was killed", self.took_too_long(node));
                self.end_worker(slot, node, Death { cause: Some(Cause::Timeout), ..Death::gone(how) });
            } else if word {
                let event = Event::Silent { node: address(), seconds: silent.as_secs_f64() };
                self.emit(event);
            }
        }
    }

    /// What to say of a node that took longer than it may.
    pub(super) fn took_too_long(&self, node: NodeId) -> String {
        let limit = self.timeout_of(node).map_or(0.0, |timeout| timeout.as_secs_f64());
        let own = self.pipeline.node(node).limits.timeout.is_some();
        let place = match own {
            true => format!("timeout of [stages.{}]", self.pipeline.node(node).stage),
            false => "--timeout".to_string(),
        };
        format!("{} took longer than {} s ({place})", self.pipeline.node(node).address(), limit)
    }

    /// What to do about a node that took longer than it may.
    pub(super) fn more_time(&self, node: NodeId) -> String {
        let stage = &self.pipeline.node(node).stage;
        format!(
            "give it more time with `timeout` in [stages.{stage}] or with --timeout; the same command continues from \
             the checkpoint, where its kind keeps one"
        )
    }
}
