//! The worker's life: connect, say hello, run one job after the other, write what is pending, end. Messages are read on
//! a thread of their own, so that a `Cancel` is seen while a stage runs; stages run on the main thread only.

use crate::worker::args::Session;
use crate::worker::device;
use crate::worker::engine::Engine;
use crate::worker::failure::Failure;
use crate::worker::inputs::Reader;
use crate::worker::interrupts::{Interrupts, Signals};
use crate::worker::job::{self, Finished, Worker};
use crate::worker::residency::Residency;
use crate::worker::store::Store;
use anyhow::{Context as _, Result, ensure};
use ddpipe_interface::protocol::{FromWorker, Job, PROTOCOL_VERSION, ToWorker, read_message};
use std::cell::RefCell;
use std::io::{BufReader, IsTerminal as _};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

/// What the main thread is to do next.
enum Next {
    Run(Box<Job>),
    End,
}

/// Serves one engine until it says `Shutdown` or is gone.
pub fn serve(session: &Session, signals: Signals) -> Result<()> {
    trace();
    let cache = ddpipe_cache::Cache::open(&session.cache).context("could not open the cache")?;
    let opened = device::open(session.device, session.threads)?;
    let stream = UnixStream::connect(&session.socket)
        .with_context(|| format!("could not reach the engine at {}", session.socket.display()))?;
    let engine = Engine::new(stream.try_clone().context("could not share the engine's socket")?);
    engine.send(&FromWorker::Hello {
        protocol: PROTOCOL_VERSION,
        pid: std::process::id(),
        device: opened.slot,
        device_name: opened.name,
        libtorch: opened.libtorch,
        numerics: Some(opened.numerics.clone()),
    });

    let interrupts = Arc::new(Interrupts::default());
    let (next, todo) = mpsc::channel();
    let ended = next.clone();
    signals.watch(interrupts.clone(), move || _ = ended.send(Next::End));
    let reading = interrupts.clone();
    std::thread::spawn(move || read(stream, &next, &reading));

    let told = engine.clone();
    let store = Store::start(cache.clone(), move |message| told.send(message));
    let store = Rc::new(store.within(session.memory_budget));
    let residency = Rc::new(RefCell::new(Residency::new(session.memory_budget)));
    let worker = Worker {
        engine,
        interrupts,
        reader: Reader::new(session.device, residency, store.clone(), cache),
        checkpoint_every: Duration::from_secs(session.checkpoint_seconds),
        threads: session.threads,
        numerics: opened.numerics,
    };
    let mut spoilt = Ok(());
    while let (Ok(()), Ok(Next::Run(job))) = (&spoilt, todo.recv()) {
        spoilt = settle(&job, job::run(&job, &worker), &worker);
    }
    tracing::info!(residency = ?worker.reader.residency.borrow().stats(), "ends");
    drop(worker);
    if let Some(store) = Rc::into_inner(store) {
        store.finish();
    }
    spoilt
}

/// Tells how a job ended. An error when this process can run no further job: then the engine is told nothing, since it
/// would at once send the next one here. It sees the process end, with the error as its last words, and starts another.
fn settle(job: &Job, outcome: Result<Finished, Failure>, worker: &Worker) -> Result<()> {
    let id = job.id;
    match outcome {
        Ok(Finished { sealed, asks, metrics, seconds, peak_memory }) => {
            for (digest, file) in sealed.tensors {
                worker.reader.keep(digest, file);
            }
            tracing::info!(node = job.node, seconds, "done");
            // Told first, since `push` may have to wait. The next job runs on this thread, so it finds what is pushed.
            let outputs = sealed.described;
            worker.engine.send(&FromWorker::Done { id, outputs, asks, metrics, seconds, peak_memory });
            worker.reader.store.push(id, sealed.pending);
        }
        Err(failure) => {
            tracing::warn!(node = job.node, cause = ?failure.cause, "{}", failure.message);
            ensure!(!failure.spoils_the_device(), "{}", failure.message);
            let Failure { cause, message, hint } = failure;
            worker.engine.send(&FromWorker::Failed { id, cause, message, hint });
        }
    }
    Ok(())
}

/// Log lines go to the engine; with `DDPIPE_LOG` (`info`, `debug`, …) to stderr as well.
fn trace() {
    if let Ok(filter) = tracing_subscriber::EnvFilter::try_from_env("DDPIPE_LOG") {
        let stderr = std::io::stderr;
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(stderr().is_terminal()).with_writer(stderr).init();
    }
}

fn read(stream: UnixStream, next: &Sender<Next>, interrupts: &Interrupts) {
    let mut stream = BufReader::new(stream);
    loop {
        let sent = match read_message(&mut stream) {
            Ok(Some(ToWorker::Run(job))) => next.send(Next::Run(job)),
            Ok(Some(ToWorker::Cancel { id })) => {
                interrupts.cancel(id);
                Ok(())
            }
            Ok(Some(ToWorker::Shutdown)) => next.send(Next::End),
            Ok(None) => {
                interrupts.abandon("the engine is gone");
                next.send(Next::End)
            }
            Err(error) => {
                tracing::error!(%error, "could not read from the engine");
                interrupts.abandon("the engine cannot be understood");
                next.send(Next::End)
            }
        };
        if sent.is_err() {
            return;
        }
    }
}
