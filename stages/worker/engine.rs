//! The worker's side of the conversation: messages out, from any thread, one at a time; and the running stage's voice
//! in it. An engine that is gone is not an error here: the thread that reads notices, and ends the worker. A message that
//! is too long to be sent is one: the engine hears of it as the failure of its job.

use crate::context::Host;
use crate::worker::interrupts::Interrupts;
use ddpipe_interface::protocol::{Cause, FromWorker, JobId, LogLevel, MAX_FRAME, write_message};
use std::io::{self, BufWriter};
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

    /// Sends one message. In place of one that cannot be sent goes the failure of its job.
    pub fn send(&self, message: &FromWorker) {
        let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match write_message(&mut *stream, message) {
            // Nothing of the message was written: the engine would wait for it for ever.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                tracing::warn!(%error, "a message was not sent");
                let failed = instead(message, &error).map(|failed| write_message(&mut *stream, &failed));
                if let Some(Err(error)) = failed {
                    tracing::debug!(%error, "the engine does not listen any more");
                }
            }
            Err(error) => tracing::debug!(%error, "the engine does not listen any more"),
            Ok(()) => {}
        }
    }
}

/// The failure that is told in place of a message that cannot be sent; none where the message was about no job.
fn instead(message: &FromWorker, error: &io::Error) -> Option<FromWorker> {
    let (id, what) = match message {
        FromWorker::Hello { .. } => return None,
        FromWorker::Done { id, metrics, .. } => (*id, format!("its results with {} metrics", metrics.len())),
        FromWorker::Log { id, .. } => (*id, "a line of its log".into()),
        FromWorker::Failed { id, .. } => (*id, "what went wrong with it".into()),
        FromWorker::Progress { id, .. }
        | FromWorker::Metric { id, .. }
        | FromWorker::Preview { id, .. }
        | FromWorker::Stored { id } => (*id, "its progress".into()),
    };
    let hint = format!("a stage may tell ddpipe at most {} MiB at once; put more into an output", MAX_FRAME >> 20);
    let message = format!("the stage could not tell {what}: {error}");
    Some(FromWorker::Failed { id, cause: Cause::Error, message, hint: Some(hint) })
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

#[cfg(test)]
mod tests {
    use super::*;
    use ddpipe_interface::protocol::read_message;

    #[test]
    fn results_that_are_too_long_to_be_told_are_a_failure_of_their_job() {
        let (near, mut far) = UnixStream::pair().unwrap();
        let engine = Engine::new(near);
        let metrics = (0..65).map(|number| (format!("{number}{}", "x".repeat(1 << 20)), 1.0)).collect();
        let (outputs, asks) = Default::default();
        engine.send(&FromWorker::Done { id: JobId(1), outputs, asks, metrics, seconds: 1.0, peak_memory: None });
        engine.send(&FromWorker::Stored { id: JobId(2) });
        let Some(FromWorker::Failed { id: JobId(1), cause: Cause::Error, message, hint }) =
            read_message(&mut far).unwrap()
        else {
            panic!("the job did not fail")
        };
        assert!(message.contains("65 metrics") && message.contains("above the limit of 64 MiB"), "{message}");
        assert!(hint.unwrap().contains("an output"));
        assert!(matches!(read_message(&mut far).unwrap(), Some(FromWorker::Stored { id: JobId(2) })));
    }
}
