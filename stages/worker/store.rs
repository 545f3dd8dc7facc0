//! Writing behind: finished outputs go to the cache on a thread of their own, while the next stage runs. Until then
//! their bytes can be read here. What waits is bounded, so that a slow disk slows the stages instead of filling memory. Small
//! outputs of several jobs that wait are flushed together.

use crate::worker::pending::Pending;
use anyhow::{Result, anyhow};
use ddpipe_cache::{Cache, Digest, Staged};
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

/// Jobs whose outputs are flushed together, and the bytes after which none is added to them.
const TOGETHER: usize = 64;
const BYTES_TOGETHER: u64 = 8 << 20;

/// The store that blobs are written to.
pub trait Blobs: Send + 'static {
    /// Bytes that are written and not yet published.
    type Staged;
    /// Writes bytes of this digest. Refuses others, so that tensors that someone wrote to meanwhile never become a blob.
    fn stage(&self, digest: &Digest, bytes: &mut dyn Read) -> Result<Self::Staged>;
    /// Flushes and publishes what was written, all of it together; what came of each.
    fn publish(&self, staged: Vec<Self::Staged>) -> Vec<Result<()>>;
}

impl Blobs for Cache {
    type Staged = Staged;

    fn stage(&self, digest: &Digest, bytes: &mut dyn Read) -> Result<Staged> {
        Ok(self.blobs().stage(*digest, bytes)?)
    }

    fn publish(&self, staged: Vec<Staged>) -> Vec<Result<()>> {
        self.blobs().publish_all(staged).into_iter().map(|published| Ok(published?)).collect()
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
            while let Some(jobs) = mine.next() {
                let outcomes = write(&blobs, &jobs);
                for ((id, outputs), written) in jobs.into_iter().zip(outcomes) {
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

/// Writes the outputs of some jobs, and publishes them together. What came of each job.
fn write(blobs: &impl Blobs, jobs: &[(JobId, Vec<Output>)]) -> Vec<Result<()>> {
    let stage = |(digest, pending): &Output| pending.with_reader(|bytes| blobs.stage(digest, bytes));
    let (mut counts, mut all) = (Vec::with_capacity(jobs.len()), Vec::new());
    for (_, outputs) in jobs {
        let staged = guarded(|| outputs.iter().map(stage).collect::<Result<Vec<_>>>());
        counts.push(staged.map(|staged| {
            let count = staged.len();
            all.extend(staged);
            count
        }));
    }
    let whole: usize = counts.iter().flatten().sum();
    let published = guarded(|| Ok(blobs.publish(all)));
    let mut published =
        published.unwrap_or_else(|error| (0..whole).map(|_| Err(anyhow!("{error:#}"))).collect()).into_iter();
    let outcome = |count: Result<usize>| {
        // All of them are taken, whatever the first has come to.
        let own: Vec<Result<()>> = published.by_ref().take(count?).collect();
        own.into_iter().collect()
    };
    counts.into_iter().map(outcome).collect()
}

/// A panic is an error: it must not leave the engine waiting for a `Stored` that never comes.
fn guarded<T>(act: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|panic| Err(anyhow!("a panic: {}", words(&*panic))))
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

    /// The jobs that are written next, waiting for one; none at the end.
    fn next(&self) -> Option<Vec<(JobId, Vec<Output>)>> {
        let idle = |state: &mut State| state.queue.is_empty() && !state.closing;
        let mut state = self.changed.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
        let mut jobs: Vec<(JobId, Vec<Output>)> = state.queue.pop_front().into_iter().collect();
        let bytes = |outputs: &[Output]| outputs.iter().map(|(_, pending)| pending.len()).sum::<u64>();
        let mut together: u64 = jobs.iter().map(|(_, outputs)| bytes(outputs)).sum();
        while let Some((_, outputs)) = state.queue.front().filter(|_| jobs.len() < TOGETHER) {
            together += bytes(outputs);
            if together > BYTES_TOGETHER {
                break;
            }
            jobs.extend(state.queue.pop_front());
        }
        (!jobs.is_empty()).then_some(jobs)
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
        type Staged = ();

        fn stage(&self, _: &Digest, bytes: &mut dyn Read) -> Result<()> {
            self.0.recv()?;
            let mut text = String::new();
            bytes.read_to_string(&mut text)?;
            anyhow::ensure!(text != "bad", "no space left");
            assert!(text != "worse", "a fault in the store");
            Ok(())
        }

        fn publish(&self, staged: Vec<()>) -> Vec<Result<()>> {
            staged.into_iter().map(Ok).collect()
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
        (0..2).for_each(|_| open.send(()).unwrap());
        let FromWorker::Failed { id: JobId(1), cause: Cause::Store, message, .. } = told.recv().unwrap() else {
            panic!()
        };
        assert!(message.contains("a fault in the store"), "{message}");
        assert!(matches!(told.recv().unwrap(), FromWorker::Stored { id: JobId(2) }));
        store.finish();
    }

    #[test]
    fn bytes_can_be_read_until_they_are_stored_and_each_job_hears_its_own_fate() {
        let (open, gate) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        let store = Store::start(Gate(gate), move |message| tell.send(message.clone()).unwrap());
        store.push(JobId(1), vec![output("good")]);
        store.push(JobId(2), vec![output("bad"), output("good")]);
        store.push(JobId(3), vec![output("good")]);
        assert_eq!(*store.pending(&Digest::of(b"good")).unwrap().to_vec().unwrap(), b"good".to_vec());
        (0..3).for_each(|_| open.send(()).unwrap());
        assert!(matches!(told.recv().unwrap(), FromWorker::Stored { id: JobId(1) }));
        let FromWorker::Failed { id: JobId(2), cause: Cause::Store, message, .. } = told.recv().unwrap() else {
            panic!("job 2 did not fail")
        };
        assert!(message.contains("no space left"), "{message}");
        assert!(matches!(told.recv().unwrap(), FromWorker::Stored { id: JobId(3) }));
        assert!(store.pending(&Digest::of(b"good")).is_none());
        store.finish();
    }

    /// Counts what is published together.
    struct Groups(mpsc::Receiver<()>, mpsc::Sender<usize>);

    impl Blobs for Groups {
        type Staged = ();

        fn stage(&self, _: &Digest, _: &mut dyn Read) -> Result<()> {
            Ok(())
        }

        fn publish(&self, staged: Vec<()>) -> Vec<Result<()>> {
            self.1.send(staged.len()).unwrap();
            self.0.recv().unwrap();
            staged.into_iter().map(Ok).collect()
        }
    }

    #[test]
    fn what_waits_meanwhile_is_flushed_together() {
        let ((open, gate), (count, counts), (tell, told)) = (mpsc::channel(), mpsc::channel(), mpsc::channel());
        let store = Store::start(Groups(gate, count), move |message| tell.send(message.clone()).unwrap());
        store.push(JobId(1), vec![output("a")]);
        assert_eq!(counts.recv().unwrap(), 1);
        (2..=9).for_each(|id| store.push(JobId(id), vec![output("b"), output("c")]));
        (0..2).for_each(|_| open.send(()).unwrap());
        assert_eq!(counts.recv().unwrap(), 16);
        store.finish();
        let told: Vec<_> = told.into_iter().collect();
        assert_eq!(told.len(), 9);
        assert!(told.iter().all(|message| matches!(message, FromWorker::Stored { .. })), "{told:?}");
    }
}
