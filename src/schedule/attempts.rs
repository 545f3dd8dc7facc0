//! Nodes that are tried again after a failure, as `retries` of their stage allows.

use super::{Scheduler, State};
use crate::event::Event;
use crate::pipeline::NodeId;
use ddpipe_interface::protocol::Cause;

/// Bytes of a failure's message that a record keeps of it.
const NOTED: usize = 200;

impl Scheduler<'_> {
    /// Has a failed node decided about anew. False when it has no attempt left for this failure, or the run is ending.
    pub(super) fn try_again(&mut self, node: NodeId, cause: Option<Cause>, message: &str) -> bool {
        let Some(cause) = cause.filter(|_| !self.stopping) else { return false };
        let retries = &self.pipeline.node(node).limits.retries;
        let failed = self.failed[node.index()].len() as u32 + 1;
        if !retries.allow(failed, cause, message) {
            return false;
        }
        let times = retries.times;
        let shown: String = message.lines().next().unwrap_or_default().chars().take(NOTED).collect();
        self.failed[node.index()].push(format!("attempt {failed} failed: {}: {shown}", cause.name()));
        self.free_slot_of(node);
        self.states.set(node, State::Pending);
        self.recall_readers(node);
        let node = self.pipeline.node(node).address();
        self.emit(Event::Retried { node, failed, times, cause, message: message.to_string() });
        true
    }
}
