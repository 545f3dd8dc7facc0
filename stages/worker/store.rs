//! Writing behind: finished outputs go to the cache on a thread of their own, while the next stage runs. Until then
//! their bytes can be read here. What waits is bounded, so that a slow disk slows the stages instead of filling memory.

use anyhow::Result;
use ddpipe_cache::{Cache, Digest};
use ddpipe_interface::protocol::{Cause, FromWorker, JobId};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Bytes that may wait; one job's outputs always may.
const BOUND: u64 = 1 << 30;

/// Where blobs go.
pub trait Blobs: Send + 'static {
    /// Publishes these bytes, whose digest is known, and flushes them.
    fn put(&self, digest: &Digest, bytes: &[u8]) -> Result<()>;
}

impl Blobs for Cache {
    fn put(&self, digest: &Digest, bytes: &[u8]) -> Result<()> {
        Ok(self.blobs().put_with_digest(*digest, bytes)?)
    }
}

/// One output on its way to the cache.
pub type Pending = (Digest, Arc<Vec<u8>>);

/// The thread that writes, and what waits for it.
pub struct Store {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<(JobId, Vec<Pending>)>,
    /// By digest, what is in the queue or being written, and how often.
    waiting: HashMap<Digest, (Arc<Vec<u8>>, usize)>,
    bytes: u64,
    closing: bool,
}

impl Store {
    /// Starts the thread. `tell` hears `Stored`, or `Failed`, once per job.
    pub fn start(blobs: impl Blobs, tell: impl Fn(&FromWorker) + Send + 'static) -> Self {
        let shared = Arc::new(Shared::default());
        let mine = shared.clone();
        let thread = std::thread::spawn(move || {
            while let Some((id, outputs)) = mine.next() {
                let written = outputs.iter().try_for_each(|(digest, bytes)| blobs.put(digest, bytes));
                mine.written(&outputs);
                tell(&match written {
                    Ok(()) => FromWorker::Stored { id },
                    Err(error) => FromWorker::Failed {
                        id,
                        cause: Cause::Store,
                        message: format!("could not write the outputs to the cache: {error:#}"),
                        hint: None,
                    },
                });
            }
        });
        Store { shared, thread }
    }

    /// Queues the outputs of a job; waits first while too much is queued.
    pub fn push(&self, id: JobId, outputs: Vec<Pending>) {
        let new: u64 = outputs.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        let full = |state: &mut State| state.bytes > 0 && state.bytes + new > BOUND;
        let state = self.shared.changed.wait_while(self.shared.lock(), full);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        state.bytes += new;
        for (digest, bytes) in &outputs {
            state.waiting.entry(*digest).or_insert_with(|| (bytes.clone(), 0)).1 += 1;
        }
        state.queue.push_back((id, outputs));
        self.shared.changed.notify_all();
    }

    /// The bytes of an artifact that is not in the cache yet.
    pub fn pending(&self, digest: &Digest) -> Option<Arc<Vec<u8>>> {
        self.shared.lock().waiting.get(digest).map(|(bytes, _)| bytes.clone())
    }

    /// Writes what is queued and ends the thread.
    pub fn finish(self) {
        self.shared.lock().closing = true;
        self.shared.changed.notify_all();
        if self.thread.join().is_err() {
            tracing::error!("the thread that writes to the cache panicked");
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<(JobId, Vec<Pending>)> {
        let idle = |state: &mut State| state.queue.is_empty() && !state.closing;
        self.changed.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner).queue.pop_front()
    }

    fn written(&self, outputs: &[Pending]) {
        let mut state = self.lock();
        for (digest, bytes) in outputs {
            state.bytes -= bytes.len() as u64;
            let left = state.waiting.get_mut(digest).map(|(_, times)| {
                *times -= 1;
                *times
            });
            if left == Some(0) {
                state.waiting.remove(digest);
            }
        }
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// Lets one blob through per message; refuses the blob `bad`.
    struct Gate(mpsc::Receiver<()>);

    impl Blobs for Gate {
        fn put(&self, _: &Digest, bytes: &[u8]) -> Result<()> {
            self.0.recv()?;
            anyhow::ensure!(bytes != b"bad", "no space left");
            Ok(())
        }
    }

    fn output(text: &str) -> Pending {
        (Digest::of(text.as_bytes()), Arc::new(text.as_bytes().to_vec()))
    }

    #[test]
    fn bytes_can_be_read_until_they_are_stored_and_each_job_hears_its_own_fate() {
        let (open, gate) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        let store = Store::start(Gate(gate), move |message| tell.send(message.clone()).unwrap());
        store.push(JobId(1), vec![output("good")]);
        store.push(JobId(2), vec![output("bad")]);
        store.push(JobId(3), vec![output("good")]);
        assert_eq!(store.pending(&Digest::of(b"good")).as_deref(), Some(&b"good".to_vec()));
        open.send(()).unwrap();
        assert!(matches!(told.recv().unwrap(), FromWorker::Stored { id: JobId(1) }));
        assert!(store.pending(&Digest::of(b"good")).is_some(), "job 3 still waits with it");
        open.send(()).unwrap();
        let FromWorker::Failed { id: JobId(2), cause: Cause::Store, message, .. } = told.recv().unwrap() else {
            panic!("job 2 did not fail")
        };
        assert!(message.contains("no space left"), "{message}");
        open.send(()).unwrap();
        store.finish();
        assert!(matches!(told.recv().unwrap(), FromWorker::Stored { id: JobId(3) }));
    }
}
