//! How a worker ended, in words for people: the true cause, and the way out.

use ddpipe_interface::protocol::Cause;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

/// How a worker ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    /// What kind of failure this is for the job that it had; absent for a worker that never got as far as a job.
    pub cause: Option<Cause>,
    /// What happened: `it was ended by signal 9 (SIGKILL)`.
    pub how: String,
    /// What the user can do about it.
    pub hint: Option<String>,
    /// Its last lines on stderr.
    pub log: Vec<String>,
}

impl Death {
    /// The end of a process by itself, or by somebody outside.
    pub fn gone(how: impl Into<String>) -> Self {
        let hint = Some("the same command continues; DDPIPE_LOG=debug shows what the worker says".into());
        Death { cause: Some(Cause::WorkerDied), how: how.into(), hint, log: Vec::new() }
    }

    /// The end of a process with this exit status.
    pub fn of_status(status: ExitStatus) -> Self {
        let gone = Death::gone(describe(status));
        // What the kernel does to a process when memory is short; nothing else here does.
        let killed = status.signal() == Some(nix::sys::signal::Signal::SIGKILL as i32);
        let hint = "if the machine ran out of memory, lower --jobs or the batch; the same command continues";
        if killed { Death { hint: Some(hint.into()), ..gone } } else { gone }
    }

    /// A worker that cannot be understood or does not keep to the protocol, and was ended for it.
    pub fn misunderstood(how: impl Into<String>) -> Self {
        let hint = "ddpipe and ddpipe-worker have to be of one build: install both from the same source \
                    (`cargo install --path .`), or name the right program in DDPIPE_WORKER";
        Death { cause: Some(Cause::Protocol), how: how.into(), hint: Some(hint.into()), log: Vec::new() }
    }

    /// A worker that never said hello.
    pub fn unborn(how: impl Into<String>) -> Self {
        let hint = Some("run `ddpipe doctor` to see what is missing".into());
        Death { cause: None, how: how.into(), hint, log: Vec::new() }
    }

    /// The same with the last lines on the worker's stderr.
    pub fn with_log(self, log: Vec<String>) -> Self {
        Death { log, ..self }
    }

    /// The whole sentence.
    pub fn message(&self) -> String {
        match self.cause {
            Some(Cause::WorkerDied) => format!("the worker's process is gone: {}", self.how),
            Some(Cause::Protocol) => format!("the worker cannot be understood: {}", self.how),
            _ => self.how.clone(),
        }
    }
}

/// `it ended with code 1`, `it was ended by signal 9 (SIGKILL)`.
pub fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("it ended with code {code}"),
        (None, Some(signal)) => match nix::sys::signal::Signal::try_from(signal) {
            Ok(name) => format!("it was ended by signal {signal} ({name})"),
            Err(_) => format!("it was ended by signal {signal}"),
        },
        (None, None) => "it ended".into(),
    }
}
