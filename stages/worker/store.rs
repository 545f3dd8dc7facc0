//! Writing behind: finished outputs go to the cache on a thread of their own, while the next stage runs. Until then
//! their bytes can be read here. What waits is bounded, so that a slow disk slows the stages instead of filling memory.

use crate::worker::pending::Pending;
use anyhow::{Result, anyhow};
use ddpipe_cache::{Cache, Digest};
use ddpipe_interface::protocol::{Cause, FromWorker, JobId};
use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Bytes of memory that may wait; one job's outputs always may.
const BOUND: u64 = 1 << 30;
/// The share of a worker's memory budget that may wait, where that is less.
const SHARE: u64 = 4;

/// The store that blobs are written to.
pub trait Blobs: Send + 'static {
    /// Publishes bytes of this digest, and flushes them. Refuses others, so that tensors that someone wrote to meanwhile
    /// never become a blob.
    fn put(&self, digest: &Digest, bytes: &mut dyn Read) -> Result<()>;
}

impl Blobs for Cache {
    fn put(&self, digest: &Digest, bytes: &mut dyn Read) -> Result<()> {
        self.blobs().put(*digest, bytes)?;
        Ok(())
    }
}

/// One output on its way to the cache.
pub type Output = (Digest, Pending);

/// The thread that writes, and what waits for it.
pub struct Store {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
    /// Bytes of memory that may wait.
    bound: u64,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<(JobId, Vec<Output>)>,
    /// By digest, what is in the queue or being written, and how often.
    waiting: HashMap<Digest, (Pending, usize)>,
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
                let put = |(digest, pending): &Output| pending.with_reader(|bytes| blobs.put(digest, bytes));
                // A panic here must not leave the engine waiting for a `Stored` that never comes.
                let writing = AssertUnwindSafe(|| outputs.iter().try_for_each(put));
                let written = catch_unwind(writing).unwrap_or_else(|panic| Err(anyhow!("a panic: {}", words(&*panic))));
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
        Store { shared, thread, bound: BOUND }
    }

    /// The same store, of a worker that may keep so many bytes in memory: less waits where that is little.
    pub fn within(self, budget: u64) -> Self {
        Store { bound: BOUND.min(budget / SHARE), ..self }
    }

    /// Queues the outputs of a job; waits first while too much is queued.
    pub fn push(&self, id: JobId, outputs: Vec<Output>) {
        let new: u64 = outputs.iter().map(|(_, pending)| pending.in_memory()).sum();
        let full = |state: &mut State| state.bytes > 0 && state.bytes + new > self.bound;
        let state = self.shared.changed.wait_while(self.shared.lock(), full);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        state.bytes += new;
        for (digest, pending) in &outputs {
            state.waiting.entry(*digest).or_insert_with(|| (pending.clone(), 0)).1 += 1;
        }
        state.queue.push_back((id, outputs));
        self.shared.changed.notify_all();
    }

    /// An artifact that is not in the cache yet.
    pub fn pending(&self, digest: &Digest) -> Option<Pending> {
        self.shared.lock().waiting.get(digest).map(|(pending, _)| pending.clone())
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

/// What a panic says.
fn words(panic: &dyn Any) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<(JobId, Vec<Output>)> {
        let idle = |state: &mut State| state.queue.is_empty() && !state.closing;
        self.changed.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner).queue.pop_front()
    }

    fn written(&self, outputs: &[Output]) {
        let mut state = self.lock();
        for (digest, pending) in outputs {
            state.bytes -= pending.in_memory();
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
        fn put(&self, _: &Digest, bytes: &mut dyn Read) -> Result<()> {
            self.0.recv()?;
            let mut text = String::new();
            bytes.read_to_string(&mut text)?;
            anyhow::ensure!(text != "bad", "no space left");
            assert!(text != "worse", "a fault in the store");
            Ok(())
        }
    }

    fn output(text: &str) -> Output {
        (Digest::of(text.as_bytes()), text.as_bytes().to_vec().into())
    }

    #[test]
    fn a_panic_while_writing_is_a_failure_of_its_job_alone() {
        let (open, gate) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        let store = Store::start(Gate(gate), move |message| tell.send(message.clone()).unwrap());
        store.push(JobId(1), vec![output("worse")]);
        store.push(JobId(2), vec![output("good")]);
        open.send(()).unwrap();
        let FromWorker::Failed { id: JobId(1), cause: Cause::Store, message, .. } = told.recv().unwrap() else {
            panic!()
        };
        assert!(message.contains("a fault in the store"), "{message}");
        open.send(()).unwrap();
        assert!(matches!(told.recv().unwrap(), FromWorker::Stored { id: JobId(2) }));
        store.finish();
    }

    #[test]
    fn bytes_can_be_read_until_they_are_stored_and_each_job_hears_its_own_fate() {
        let (open, gate) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        let store = Store::start(Gate(gate), move |message| tell.send(message.clone()).unwrap());
        store.push(JobId(1), vec![output("good")]);
        store.push(JobId(2), vec![output("bad")]);
        store.push(JobId(3), vec![output("good")]);
        assert_eq!(*store.pending(&Digest::of(b"good")).unwrap().to_vec().unwrap(), b"good".to_vec());
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
