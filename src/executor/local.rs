//! Workers on this machine: one process per slot, started on its first job, kept for the run, started again after a
//! crash. Knows the slots; `worker.rs` has one process, `conversation.rs` what is said.

use super::conversation::Heard;
use super::death::Death;
use super::worker::Worker;
use super::{DeviceInfo, Executor, JobEvent, Signal, StartError};
use ddpipe_interface::orphans;
use ddpipe_interface::protocol::{FromWorker, Job, JobId, ToWorker, encode};
use nix::unistd::Pid;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
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

/// Messages of all workers that may wait for the scheduler. Whoever says more waits at its socket.
const WAITING: usize = 32;
/// How long workers may take to end when nothing is left for them to do.
const FAREWELL: Duration = Duration::from_secs(30);

/// Workers on this machine.
pub struct Local {
    settings: LocalSettings,
    workers: Vec<Option<Worker>>,
    devices: Vec<DeviceInfo>,
    ear: SyncSender<(usize, u64, Heard)>,
    heard: Receiver<(usize, u64, Heard)>,
    started: u64,
}

impl Local {
    /// An executor with these settings. Starts nothing yet, and touches no file.
    pub fn new(settings: LocalSettings) -> Self {
        let (ear, heard) = sync_channel(WAITING);
        let slots = settings.slots.len();
        let workers = (0..slots).map(|_| None).collect();
        Local { settings, workers, devices: vec![DeviceInfo::default(); slots], ear, heard, started: 0 }
    }

    fn spawn(&mut self, slot: usize) -> Result<Worker, StartError> {
        self.started += 1;
        Worker::spawn(&self.settings, slot, self.started, self.ear.clone())
    }

    /// Acts on what a worker said; gives what the scheduler has to know.
    fn on_heard(&mut self, slot: usize, heard: Heard) -> Option<Signal> {
        let worker = self.workers[slot].as_mut()?;
        match heard {
            Heard::Message(message) => match *message {
                FromWorker::Hello { device_name, libtorch, numerics, .. } => {
                    let threads = u16::try_from(self.settings.threads).unwrap_or(u16::MAX);
                    self.devices[slot] = DeviceInfo { name: device_name, libtorch, numerics, threads };
                    worker.greeted = true;
                    None
                }
                message => JobEvent::of_message(message).map(|(id, event)| Signal::Job { slot, id, event }),
            },
            Heard::Closed | Heard::Cut => {
                worker.leaves(matches!(heard, Heard::Cut));
                None
            }
            Heard::Nonsense(how) => {
                worker.kill(Death::misunderstood(format!("{how} ({})", worker.program.display())));
                None
            }
            Heard::Absent(how) => {
                worker.kill(Death::unborn(how));
                None
            }
        }
    }

    /// The next worker whose process has ended.
    fn ended(&mut self) -> Option<Signal> {
        for slot in 0..self.workers.len() {
            if let Some(death) = self.workers[slot].as_mut().and_then(Worker::death) {
                self.workers[slot] = None;
                self.end_orphans();
                return Some(Signal::Died { slot, death });
            }
        }
        None
    }

    /// Ends what a worker that is gone has left behind, such as the children of a project's own program.
    fn end_orphans(&self) {
        let workers: Vec<Pid> = self.workers.iter().flatten().map(Worker::pid).collect();
        let ended = orphans::end_all_but(&workers);
        if ended > 0 {
            tracing::info!(ended, "processes that a worker had left behind were ended");
        }
    }

    /// How soon to look at processes that may have ended: none that is at work and listened to does.
    fn look(&self) -> Duration {
        let restless = self.workers.iter().flatten().any(|worker| !worker.greeted || worker.is_leaving());
        Duration::from_millis(if restless { 2 } else { 50 })
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
        let frame = encode(&ToWorker::Run(Box::new(job))).map_err(|error| StartError {
            message: format!("the job cannot be told to a worker: {error}"),
            hint: Some("give the stage fewer inputs: gather in two steps, a stage for each part first".into()),
        })?;
        if self.workers[slot].is_none() {
            if let Err(error) = orphans::adopt() {
                tracing::warn!(%error, "programs of a worker that is killed may live on");
            }
            self.workers[slot] = Some(self.spawn(slot)?);
        }
        if let Some(worker) = &self.workers[slot] {
            worker.say(frame);
        }
        Ok(())
    }

    fn cancel(&mut self, slot: usize, id: JobId) {
        if let (Some(worker), Ok(frame)) = (&self.workers[slot], encode(&ToWorker::Cancel { id })) {
            worker.say(frame);
        }
    }

    fn kill(&mut self, slot: usize, death: Death) {
        if let Some(worker) = &mut self.workers[slot] {
            worker.kill(death);
        }
    }

    fn next(&mut self, timeout: Duration) -> Option<Signal> {
        let deadline = Instant::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if let Ok((slot, number, heard)) = self.heard.recv_timeout(left.min(self.look())) {
                // Late words of a worker that has been replaced or that nobody listens to any more.
                let listens = self.workers[slot].as_ref().is_some_and(|worker| worker.number == number);
                if let Some(signal) = listens.then(|| self.on_heard(slot, heard)).flatten() {
                    return Some(signal);
                }
            } else if let Some(died) = self.ended() {
                return Some(died);
            }
            if Instant::now() >= deadline {
                return self.ended();
            }
        }
    }

    fn shutdown(&mut self, kill: bool) {
        let farewell = encode(&ToWorker::Shutdown).ok().filter(|_| !kill);
        for worker in self.workers.iter_mut().flatten() {
            match &farewell {
                Some(frame) => worker.say(frame.clone()),
                None => worker.kill(Death::gone("the run was stopped")),
            }
        }
        let deadline = Instant::now() + FAREWELL;
        while self.workers.iter_mut().flatten().any(|worker| !worker.has_ended()) {
            if Instant::now() > deadline {
                for worker in self.workers.iter_mut().flatten() {
                    worker.kill(Death::gone("it did not end"));
                }
            }
            // Nobody needs to hear it, but who is not listened to cannot end.
            let _ = self.heard.recv_timeout(Duration::from_millis(2));
        }
        if self.workers.iter().any(Option::is_some) {
            self.workers.fill_with(|| None);
            self.end_orphans();
        }
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.shutdown(true);
    }
}
