//! Pilots as processes of this machine, each in a session of its own: they go on when the terminal is closed, and when the
//! command that started them ends.

use super::{How, JobState, PilotJob, PilotOrder, Queue};
use crate::exit::{Exit, Fault};
use crate::machine::HERE;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use std::collections::HashMap;
use std::fs::File;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};

/// The processes that this command started, and others that it found.
#[derive(Debug, Default)]
pub struct Processes {
    children: HashMap<String, Child>,
}

/// Tells a pilot to leave the session, and with it the terminal, of the command that starts it.
pub const SESSION: &str = "DDPIPE_PILOT_SESSION";

impl Queue for Processes {
    fn machine(&self) -> &str {
        HERE
    }

    fn submit(&mut self, order: &PilotOrder) -> Result<PilotJob, Fault> {
        let program = std::env::current_exe()?;
        let failed = |error: std::io::Error| Fault {
            exit: Exit::Cache,
            message: format!("could not start pilot {}: {}: {error}", order.number, program.display()),
        };
        let log = File::create(&order.log).map_err(|error| Fault::io("write", &order.log, &error))?;
        let mut command = Command::new(&program);
        command.args(&order.arguments).current_dir(&order.folder).env(SESSION, "own");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().map_err(failed)?;
        let id = child.id().to_string();
        self.children.insert(id.clone(), child);
        Ok(PilotJob { number: order.number, id })
    }

    fn status(&mut self, job: &PilotJob, _soon: bool) -> JobState {
        if let Some(child) = self.children.get_mut(&job.id) {
            return match child.try_wait() {
                Ok(Some(status)) => JobState::Ended(how(status)),
                _ => JobState::Running,
            };
        }
        let pid = job.id.parse().ok().map(Pid::from_raw);
        let is_pilot = pid.is_some_and(|pid| {
            let called = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            called.split(|byte| *byte == 0).any(|argument| argument == b"--pilot")
        });
        if is_pilot { JobState::Running } else { JobState::Ended(How::Itself) }
    }

    fn cancel(&mut self, job: &PilotJob) {
        if self.status(job, true) == JobState::Running
            && let Ok(pid) = job.id.parse()
        {
            let pid = Pid::from_raw(pid);
            // Its workers are in its group.
            if killpg(pid, Signal::SIGKILL).is_err() {
                let _ = kill(pid, Signal::SIGKILL);
            }
        }
    }
}

/// How a process ended.
fn how(status: ExitStatus) -> How {
    status.signal().map_or(How::Itself, |signal| {
        let name = Signal::try_from(signal).map_or("a signal".to_string(), |signal| signal.to_string());
        How::Lost(format!("ended by {name}"))
    })
}
