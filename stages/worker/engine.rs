//! The worker's side of the conversation: messages out, from any thread, one at a time; and the running stage's voice
//! in it. An engine that is gone is not an error here: the thread that reads notices, and ends the worker.

use crate::context::Host;
use crate::worker::interrupts::Interrupts;
use ddpipe_interface::protocol::{FromWorker, JobId, LogLevel, write_message};
use std::io::BufWriter;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// The worker's end of the conversation with the engine.
#[derive(Clone)]
pub struct Engine(Arc<Mutex<BufWriter<UnixStream>>>);

impl Engine {
    /// Speaks through this socket.
    pub fn new(stream: UnixStream) -> Self {
        Engine(Arc::new(Mutex::new(BufWriter::new(stream))))
    }

    /// Sends one message.
    pub fn send(&self, message: &FromWorker) {
        let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = write_message(&mut *stream, message) {
            tracing::debug!(%error, "the engine does not listen any more");
        }
    }
}

/// A running stage's [`Host`].
pub struct Listener {
    /// The engine that messages go to.
    pub engine: Engine,
    /// The job that the messages are about.
    pub id: JobId,
    /// Knows whether the job has to stop.
    pub interrupts: Arc<Interrupts>,
}

impl Host for Listener {
    fn progress(&self, step: u64, total: u64, unit: &str, loss: Option<f64>) {
        tracing::debug!(step, total, loss);
        self.engine.send(&FromWorker::Progress { id: self.id, step, total, loss, unit: unit.into() });
    }

    fn metric(&self, name: &str, step: u64, value: f64) {
        // JSON has no NaN and no infinity; a null in their place would be no message at all.
        if value.is_finite() {
            self.engine.send(&FromWorker::Metric { id: self.id, name: name.into(), step, value });
        } else {
            self.log(LogLevel::Info, format!("{name} is {value} at step {step}"));
        }
    }

    fn preview(&self, step: u64, path: PathBuf) {
        self.engine.send(&FromWorker::Preview { id: self.id, step, path });
    }

    fn log(&self, level: LogLevel, text: String) {
        match level {
            LogLevel::Info => tracing::info!("{text}"),
            LogLevel::Warn => tracing::warn!("{text}"),
        }
        self.engine.send(&FromWorker::Log { id: self.id, level, text });
    }

    fn interrupted(&self) -> bool {
        self.interrupts.wants_to_stop(self.id)
    }
}
