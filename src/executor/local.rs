//! Workers on this machine: one process per slot, started on its first job, kept for the run, started again after a
//! crash. Talks the protocol of `ddpipe_interface`; a thread per worker reads its messages.

use super::{DeviceInfo, Executor, JobEvent, Signal, StartError};
use ddpipe_interface::protocol::{FromWorker, Job, JobId, PROTOCOL_VERSION, ToWorker, read_message, write_message};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The settings that workers are started with.
#[derive(Clone, Debug)]
pub struct LocalSettings {
    /// One entry per slot: `cpu`, `cuda:0`. The same device may have several slots.
    pub slots: Vec<String>,
    /// The cache's folder.
    pub cache: PathBuf,
    /// Computing threads per worker.
    pub threads: usize,
    /// Bytes of tensors that a worker may keep on its device between stages.
    pub memory_budget: u64,
    /// Seconds between checkpoints.
    pub checkpoint_seconds: u64,
}

/// How long a fresh worker may take until it says hello: loading the CUDA libraries from a cold disk takes long.
const HELLO: Duration = Duration::from_secs(120);
/// Lines of a worker's stderr that are kept for the outcome of a crash.
const KEPT_LINES: usize = 20;

/// Workers on this machine.
pub struct Local {
    settings: LocalSettings,
    workers: Vec<Option<Worker>>,
    devices: Vec<DeviceInfo>,
    sender: Sender<(usize, u64, Option<FromWorker>)>,
    receiver: Receiver<(usize, u64, Option<FromWorker>)>,
    started: u64,
    sockets: tempfile::TempDir,
}

struct Worker {
    child: Child,
    stream: UnixStream,
    stderr: Arc<Mutex<VecDeque<String>>>,
    readers: Vec<JoinHandle<()>>,
    generation: u64,
}

impl Local {
    /// An executor with these settings. Starts nothing yet.
    pub fn new(settings: LocalSettings) -> std::io::Result<Self> {
        let (sender, receiver) = channel();
        let slots = settings.slots.len();
        let sockets = tempfile::Builder::new().prefix("ddpipe-").tempdir()?;
        let workers = (0..slots).map(|_| None).collect();
        let devices = vec![DeviceInfo::default(); slots];
        Ok(Local { settings, workers, devices, sender, receiver, started: 0, sockets })
    }

    fn spawn(&mut self, slot: usize) -> Result<Worker, StartError> {
        let program = worker_program()?;
        self.started += 1;
        let generation = self.started;
        let socket = self.sockets.path().join(format!("{generation}.sock"));
        let failed = |what: &str, error: &dyn std::fmt::Display| StartError {
            message: format!("could not start {}: {what}: {error}", program.display()),
            hint: Some("run `ddpipe doctor` to see what is missing".into()),
        };
        let listener = UnixListener::bind(&socket).map_err(|error| failed("its socket", &error))?;
        listener.set_nonblocking(true).map_err(|error| failed("its socket", &error))?;
        let mut child = Command::new(&program)
            .arg("--socket")
            .arg(&socket)
            .arg("--cache")
            .arg(&self.settings.cache)
            .args(["--device", &self.settings.slots[slot]])
            .args(["--threads", &self.settings.threads.to_string()])
            .args(["--memory-budget", &self.settings.memory_budget.to_string()])
            .args(["--checkpoint-seconds", &self.settings.checkpoint_seconds.to_string()])
            .envs(runtime(self.settings.threads))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| failed("the program", &error))?;
        let stderr = Arc::new(Mutex::new(VecDeque::new()));
        let mut readers = Vec::new();
        if let Some(pipe) = child.stderr.take() {
            let kept = stderr.clone();
            readers.push(std::thread::spawn(move || keep_lines(BufReader::new(pipe), &kept)));
        }
        let stream = match accept(&listener, &mut child) {
            Ok(stream) => stream,
            Err(how) => {
                let _ = child.kill();
                let _ = child.wait();
                drain(&readers);
                let log: Vec<String> = lines(&stderr);
                let said = if log.is_empty() { String::new() } else { format!("; it said: {}", log.join(" / ")) };
                return Err(failed("it did not answer", &format!("{how}{said}")));
            }
        };
        let mut incoming = stream.try_clone().map_err(|error| failed("its socket", &error))?;
        let sender = self.sender.clone();
        readers.push(std::thread::spawn(move || {
            // A broken frame ends the conversation just as a closed stream does.
            while let Ok(Some(message)) = read_message::<FromWorker>(&mut incoming) {
                if sender.send((slot, generation, Some(message))).is_err() {
                    return;
                }
            }
            let _ = sender.send((slot, generation, None));
        }));
        Ok(Worker { child, stream, stderr, readers, generation })
    }

    /// Notes the device of a worker that has started, and ends a worker of another version.
    fn on_hello(&mut self, slot: usize, protocol: u32, device: DeviceInfo) {
        self.devices[slot] = device;
        if protocol != PROTOCOL_VERSION
            && let Some(worker) = &mut self.workers[slot]
        {
            tracing::error!("ddpipe-worker speaks protocol {protocol}, ddpipe {PROTOCOL_VERSION}; build both");
            let _ = worker.child.kill();
        }
    }

    /// Waits for the end of a worker that has closed its socket, and says how it ended.
    fn reap(&mut self, slot: usize) -> Option<Signal> {
        let mut worker = self.workers[slot].take()?;
        let mut status = wait(&mut worker.child, Duration::from_secs(5));
        if status.is_none() {
            // It closed its end and lives on: nobody could ever speak to it again.
            let _ = worker.child.kill();
            status = worker.child.wait().ok();
        }
        drain(&worker.readers);
        Some(Signal::Died {
            slot,
            how: status.map_or("it did not end".into(), describe_exit),
            log: lines(&worker.stderr),
        })
    }
}

impl Executor for Local {
    fn slots(&self) -> &[String] {
        &self.settings.slots
    }

    fn device(&self, slot: usize) -> DeviceInfo {
        self.devices[slot].clone()
    }

    fn start(&mut self, slot: usize, job: Job) -> Result<(), StartError> {
        if self.workers[slot].is_none() {
            self.workers[slot] = Some(self.spawn(slot)?);
        }
        if let Some(worker) = &mut self.workers[slot] {
            // A worker that is gone already shows as `Died` through its reader.
            let _ = write_message(&mut worker.stream, &ToWorker::Run(Box::new(job)));
        }
        Ok(())
    }

    fn cancel(&mut self, slot: usize, id: JobId) {
        if let Some(worker) = &mut self.workers[slot] {
            let _ = write_message(&mut worker.stream, &ToWorker::Cancel { id });
        }
    }

    fn next(&mut self, timeout: Duration) -> Option<Signal> {
        let deadline = Instant::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let (slot, generation, message) = self.receiver.recv_timeout(left).ok()?;
            // Late words of a worker that has been replaced.
            if self.workers[slot].as_ref().is_none_or(|worker| worker.generation != generation) {
                continue;
            }
            match message {
                Some(FromWorker::Hello { protocol, device_name, libtorch, numerics, .. }) => {
                    self.on_hello(slot, protocol, DeviceInfo { name: device_name, libtorch, numerics });
                }
                Some(message) => {
                    if let Some((id, event)) = JobEvent::of_message(message) {
                        return Some(Signal::Job { slot, id, event });
                    }
                }
                None => return self.reap(slot),
            }
        }
    }

    fn shutdown(&mut self, kill: bool) {
        for slot in 0..self.workers.len() {
            if let Some(mut worker) = self.workers[slot].take() {
                if kill || write_message(&mut worker.stream, &ToWorker::Shutdown).is_err() {
                    let _ = worker.child.kill();
                }
                if wait(&mut worker.child, Duration::from_secs(60)).is_none() {
                    let _ = worker.child.kill();
                    let _ = worker.child.wait();
                }
            }
        }
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.shutdown(true);
    }
}

/// `$DDPIPE_WORKER`, or the program beside this one, or the one on the path.
pub fn worker_program() -> Result<PathBuf, StartError> {
    if let Some(path) = std::env::var_os("DDPIPE_WORKER") {
        return Ok(path.into());
    }
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join("ddpipe-worker")));
    if let Some(path) = beside.filter(|path| path.is_file()) {
        return Ok(path);
    }
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths).map(|folder| folder.join("ddpipe-worker")).find(|path| path.is_file());
    found.ok_or_else(|| StartError {
        message: "the program ddpipe-worker is neither beside ddpipe nor on the path".into(),
        hint: Some(
            "build ddpipe with its feature `worker`, which is on by default, or name the program in DDPIPE_WORKER"
                .into(),
        ),
    })
}

/// How the worker's OpenMP and allocator behave, unless the user says it. Both read their environment before the program
/// begins, so this cannot wait for the worker. Threads that spin while they wait made a step 13 times slower on two busy
/// cores; an allocator that gives every tensor's memory back to the system took 2.0 s of system time for 20 steps of
/// distribution matching, against 0.14 s with these thresholds.
pub fn runtime(threads: usize) -> impl Iterator<Item = (&'static str, String)> {
    let settings = [
        ("OMP_NUM_THREADS", threads.to_string()),
        ("OMP_WAIT_POLICY", "PASSIVE".to_string()),
        ("MALLOC_MMAP_THRESHOLD_", (1u64 << 30).to_string()),
        ("MALLOC_TRIM_THRESHOLD_", (1u64 << 32).to_string()),
    ];
    settings.into_iter().filter(|(name, _)| std::env::var_os(name).is_none())
}

fn accept(listener: &UnixListener, child: &mut Child) -> Result<UnixStream, String> {
    let deadline = Instant::now() + HELLO;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false).map_err(|error| error.to_string())?;
                return Ok(stream);
            }
            Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => return Err(error.to_string()),
            Err(_) => {}
        }
        if let Ok(Some(status)) = child.try_wait() {
            return Err(describe_exit(status));
        }
        if Instant::now() > deadline {
            return Err(format!("nothing heard for {} s", HELLO.as_secs()));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) => std::thread::sleep(Duration::from_millis(2)),
            Err(_) => return None,
        }
    }
    None
}

/// Lets a dead worker's last words arrive, unless a program that it started keeps the pipe open.
fn drain(readers: &[JoinHandle<()>]) {
    let deadline = Instant::now() + Duration::from_secs(1);
    while readers.iter().any(|reader| !reader.is_finished()) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn describe_exit(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("it ended with code {code}"),
        (None, Some(signal)) => match nix::sys::signal::Signal::try_from(signal) {
            Ok(name) => format!("it was ended by signal {signal} ({name})"),
            Err(_) => format!("it was ended by signal {signal}"),
        },
        (None, None) => "it ended".into(),
    }
}

fn keep_lines(pipe: impl BufRead, kept: &Mutex<VecDeque<String>>) {
    for line in pipe.split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).into_owned();
        if std::env::var_os("DDPIPE_LOG").is_some() {
            crate::note::say(&line);
        }
        if let Ok(mut kept) = kept.lock() {
            if kept.len() == KEPT_LINES {
                kept.pop_front();
            }
            kept.push_back(line);
        }
    }
}

fn lines(kept: &Mutex<VecDeque<String>>) -> Vec<String> {
    kept.lock().map(|kept| kept.iter().cloned().collect()).unwrap_or_default()
}
