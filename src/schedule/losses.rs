//! What is lost and made again: damaged inputs, and outputs that died with their worker. A node is started over at most
//! once in a run; the second time it fails.

use super::{Scheduler, State};
use crate::event::Event;
use crate::executor::Death;
use crate::pipeline::{Endpoint, NodeId};
use ddpipe_cache::CacheError;
use ddpipe_interface::protocol::Cause;

impl Scheduler<'_> {
    /// Ends the worker of a slot because of a node. The slot takes no job until that has happened.
    pub(super) fn end_worker(&mut self, slot: usize, node: NodeId, death: Death) {
        self.slots[slot].get_or_insert(node);
        self.executor.kill(slot, death);
    }

    /// The worker of a slot is gone, with its running job and all bytes that it had not written.
    pub(super) fn on_worker_died(&mut self, slot: usize, death: &Death) {
        let lost = self.states.storing(slot);
        let runs = |node: &NodeId| matches!(self.states.get(*node), State::Running(running) if running.slot == slot);
        if let Some(node) = self.slots[slot].take().filter(runs) {
            if self.interrupts.count() > 0 {
                self.interrupted(node);
            } else {
                let late = death.cause == Some(Cause::Timeout);
                let hint = if late { Some(self.more_time(node)) } else { death.hint.clone() };
                let log = match death.log.is_empty() {
                    true => self.kept_log(node),
                    false => death.log.clone(),
                };
                self.fail(node, death.cause, death.message(), hint, log);
            }
        }
        for node in lost {
            if !self.start_over(node) {
                let message = format!("the worker's process ended before the outputs were written: {}", death.how);
                let cause = death.cause.or(Some(Cause::WorkerDied));
                self.fail(node, cause, message, death.hint.clone(), death.log.clone());
            }
        }
    }

    /// Sets damaged blobs aside and has the nodes that made them run again, then this one. False when nothing was
    /// found to be damaged, or when that was tried before.
    pub(super) fn make_damaged_inputs_again(&mut self, node: NodeId) -> Result<bool, CacheError> {
        let mut makers = Vec::new();
        let mut mended = false;
        for edge in self.pipeline.node(node).inputs.values().flatten() {
            let Endpoint::Node { node: maker, output } = &edge.from else { continue };
            let record = match self.states.get(*maker) {
                State::Done { record, .. } | State::Committing { record, .. } => record.clone(),
                // The worker holds these bytes in memory; what nobody asked for was not read.
                State::Storing { .. } | State::LeftOut | State::NotSelected => continue,
                // Another reader found the damage first.
                _ => {
                    mended = true;
                    continue;
                }
            };
            let Some(made) = record.outputs.get(output) else { continue };
            match self.cache.blobs().verify_once(made.digest) {
                Ok(_) => mended |= self.states.was_started_over(*maker),
                Err(CacheError::Damaged { .. } | CacheError::Missing { .. }) => makers.push(*maker),
                Err(error) => return Err(error),
            }
        }
        makers.sort();
        makers.dedup();
        if (makers.is_empty() && !mended) || !self.start_over(node) {
            return Ok(false);
        }
        for maker in makers {
            let address = self.pipeline.node(maker).address();
            self.emit(Event::Warning {
                text: format!("an output of {address} was damaged in the cache; it runs again"),
            });
            if !self.start_over(maker) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Has a node decided about anew, once in a run.
    fn start_over(&mut self, node: NodeId) -> bool {
        let first = self.states.start_over(node);
        if first {
            self.recall_readers(node);
        }
        first
    }

    /// Nodes that are ready to read what this one gave have to be decided about anew: the bytes are gone.
    pub(super) fn recall_readers(&mut self, node: NodeId) {
        for reader in self.graph.readers(node) {
            if matches!(self.states.get(reader), State::Ready { .. }) {
                self.states.set(reader, State::Pending);
            }
        }
    }
}
