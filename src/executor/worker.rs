//! One worker's process: how it is started, spoken to, and how it ends.

use super::StartError;
use super::conversation::{self, Ear, Line};
use super::death::{self, Death};
use super::local::LocalSettings;
use super::program::{runtime, worker_program};
use super::rendezvous::{self, Rendezvous};
use nix::unistd::Pid;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Lines of a worker's stderr that are kept for the outcome of a crash, and the bytes of each.
const KEPT_LINES: usize = 20;
const KEPT_BYTES: u64 = 4096;
/// How long a worker may live on after it closed its socket: freeing much memory takes time.
const LEAVING: Duration = Duration::from_secs(5);
/// How long after its end a worker's last messages may still be on their way, once it has connected and before.
const LAST_WORDS: Duration = Duration::from_secs(1);
const NO_WORDS: Duration = Duration::from_millis(50);

/// One worker's process.
pub(super) struct Worker {
    /// Tells this worker's words from those of earlier ones of the slot.
    pub number: u64,
    /// The program that runs.
    pub program: PathBuf,
    /// Whether it has said hello.
    pub greeted: bool,
    child: Child,
    outbox: Sender<Vec<u8>>,
    stderr: Arc<Mutex<VecDeque<String>>>,
    reader: Option<JoinHandle<()>>,
    line: Arc<Line>,
    ended: Option<Instant>,
    leaving: Option<Leaving>,
}

/// Why a worker's process is expected to end.
enum Leaving {
    /// It closed its socket, then or in the middle of a message; it has until this time to end.
    ByItself { cut: bool, until: Instant },
    /// It was killed, for this.
    Killed(Death),
}

impl Worker {
    /// Starts the process. What it says goes to `ear`.
    pub fn spawn(settings: &LocalSettings, slot: usize, number: u64, ear: Ear) -> Result<Self, StartError> {
        let program = worker_program()?;
        let failed = |what: &str, error: &dyn std::fmt::Display| StartError {
            message: format!("could not start {}: {what}: {error}", program.display()),
            hint: Some("run `ddpipe doctor` to see what is missing".into()),
        };
        let name = format!(".worker-{}-{number}.sock", std::process::id());
        let met = Rendezvous::open(&rendezvous::folders(&settings.cache), &name)
            .map_err(|error| failed("its socket", &error))?;
        let mut child = Command::new(&program)
            .arg("--socket")
            .arg(met.path())
            .arg("--cache")
            .arg(&settings.cache)
            .args(["--device", &settings.slots[slot]])
            .args(["--threads", &settings.threads.to_string()])
            .args(["--memory-budget", &settings.memory_budget.to_string()])
            .args(["--checkpoint-seconds", &settings.checkpoint_seconds.to_string()])
            .envs(runtime(settings.threads))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| failed("the program", &error))?;
        let stderr = Arc::new(Mutex::new(VecDeque::new()));
        let reader = child.stderr.take().map(|pipe| {
            let kept = stderr.clone();
            std::thread::spawn(move || keep_lines(BufReader::new(pipe), &kept))
        });
        let (outbox, frames) = channel();
        let line = Arc::new(Line::default());
        let shared = line.clone();
        std::thread::spawn(move || {
            conversation::listen(met, frames, &shared, move |heard| ear.send((slot, number, heard)).is_ok());
        });
        let (ended, leaving) = (None, None);
        Ok(Worker { number, program, greeted: false, child, outbox, stderr, reader, line, ended, leaving })
    }

    /// The worker's process.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }

    /// Sends a message as soon as the worker listens. One that is gone shows by its death.
    pub fn say(&self, frame: Vec<u8>) {
        let _ = self.outbox.send(frame);
    }

    /// It closed its socket, perhaps in the middle of a message: it has a while to end.
    pub fn leaves(&mut self, cut: bool) {
        let until = Instant::now() + LEAVING;
        _ = self.leaving.get_or_insert(Leaving::ByItself { cut, until });
    }

    /// Ends the process at once; its death is this one. The first reason counts.
    pub fn kill(&mut self, death: Death) {
        if !matches!(self.leaving, Some(Leaving::Killed(_))) {
            self.leaving = Some(Leaving::Killed(death));
        }
        let _ = self.child.kill();
    }

    /// Whether its end is near.
    pub fn is_leaving(&self) -> bool {
        self.leaving.is_some()
    }

    /// Whether the process has ended.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// How it ended, once it has.
    pub fn death(&mut self) -> Option<Death> {
        let status = match self.child.try_wait() {
            Ok(Some(status)) => Some(status),
            Ok(None) => {
                if let Some(Leaving::ByItself { cut, until }) = self.leaving
                    && Instant::now() > until
                {
                    let when = if cut { " in the middle of a message" } else { "" };
                    let how = format!("it closed its socket{when} and did not end ({})", self.program.display());
                    self.kill(Death::misunderstood(how));
                }
                return None;
            }
            Err(_) => None,
        };
        let since = *self.ended.get_or_insert_with(Instant::now);
        let patience = if self.line.connected.load(Ordering::Relaxed) { LAST_WORDS } else { NO_WORDS };
        if self.leaving.is_none() && since.elapsed() < patience {
            // Its messages come first; the last of them is that its socket is closed.
            return None;
        }
        self.line.over.store(true, Ordering::Relaxed);
        let log = self.last_words();
        let death = match (self.leaving.take(), status) {
            (Some(Leaving::Killed(death)), _) => death,
            (leaving, Some(status)) if self.greeted => of_status(status, &leaving),
            (_, status) => {
                let how = status.map_or_else(|| "it ended".into(), death::describe);
                let said = if log.is_empty() { String::new() } else { format!("; it said: {}", log.join(" / ")) };
                Death::unborn(format!("could not start {}: it did not answer: {how}{said}", self.program.display()))
            }
        };
        Some(death.with_log(log))
    }

    /// The last lines on stderr. They may still be on their way, unless a program that it started keeps the pipe open.
    fn last_words(&mut self) -> Vec<String> {
        let deadline = Instant::now() + Duration::from_secs(1);
        while self.reader.as_ref().is_some_and(|reader| !reader.is_finished()) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
        self.stderr.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.line.over.store(true, Ordering::Relaxed);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn of_status(status: ExitStatus, leaving: &Option<Leaving>) -> Death {
    let death = Death::of_status(status);
    match leaving {
        Some(Leaving::ByItself { cut: true, .. }) => {
            Death { how: format!("{}, in the middle of a message", death.how), ..death }
        }
        _ => death,
    }
}

fn keep_lines(mut pipe: impl BufRead, kept: &Mutex<VecDeque<String>>) {
    let shown = std::env::var_os("DDPIPE_LOG").is_some();
    loop {
        let mut line = Vec::new();
        match pipe.by_ref().take(KEPT_BYTES).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let line = String::from_utf8_lossy(&line).trim_end_matches('\n').to_string();
        if shown {
            crate::note::say(&line);
        }
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT_LINES {
            kept.pop_front();
        }
        kept.push_back(line);
    }
}
