//! Records are committed behind the run, on a thread of its own: a flush takes milliseconds, in which the workers are to be
//! given their next jobs. What has come together in the meantime is committed at once, so that its flushes cost little more
//! than those of one record. Knows no states and no plan.

use crate::pipeline::NodeId;
use ddpipe_cache::{CacheError, Claim, Committed, Record, commit_all};
use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// So many records are committed together: the first of them should not wait long.
const TOGETHER: usize = 64;

type Offered = (NodeId, Claim, Record);
type Outcome = (NodeId, Result<Committed, CacheError>);

/// The records of a run that are on their way to the disk.
#[derive(Debug)]
pub(super) struct Commits {
    offered: Option<Sender<Offered>>,
    outcomes: Receiver<Outcome>,
    /// Those that have no outcome yet, in order.
    open: VecDeque<NodeId>,
    thread: Option<JoinHandle<()>>,
}

impl Commits {
    /// Starts the thread.
    pub fn begin() -> Self {
        let ((offered, todo), (tell, outcomes)) = (channel(), channel());
        let thread = std::thread::spawn(move || work(&todo, &tell));
        Commits { offered: Some(offered), outcomes, open: VecDeque::new(), thread: Some(thread) }
    }

    /// Has a record committed. It has its outcome later, after those that were offered before.
    pub fn offer(&mut self, node: NodeId, claim: Claim, record: Record) {
        self.open.push_back(node);
        if let Some(offered) = &self.offered {
            // A thread that has ended shows when its outcomes are asked for.
            let _ = offered.send((node, claim, record));
        }
    }

    /// Whether some have no outcome yet.
    pub fn are_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// The next outcome; none where there is none within this time.
    pub fn next(&mut self, wait: Duration) -> Option<Outcome> {
        let first = *self.open.front()?;
        let outcome = match self.outcomes.recv_timeout(wait) {
            Ok(outcome) => outcome,
            Err(RecvTimeoutError::Timeout) => return None,
            // By a panic, and then nothing more comes.
            Err(RecvTimeoutError::Disconnected) => (first, Err(ended())),
        };
        self.open.pop_front();
        Some(outcome)
    }
}

impl Drop for Commits {
    fn drop(&mut self) {
        self.offered = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that commits records panicked");
        }
    }
}

fn ended() -> CacheError {
    let source = io::Error::other("the thread that commits records has ended");
    CacheError::Io { doing: "write", path: "records-v1".into(), source }
}

fn work(todo: &Receiver<Offered>, tell: &Sender<Outcome>) {
    while let Ok(first) = todo.recv() {
        let (mut nodes, mut offered) = (Vec::new(), Vec::new());
        for (node, claim, record) in std::iter::once(first).chain(todo.try_iter().take(TOGETHER - 1)) {
            nodes.push(node);
            offered.push((claim, record));
        }
        for outcome in nodes.into_iter().zip(commit_all(offered)) {
            if tell.send(outcome).is_err() {
                return;
            }
        }
    }
}
