//! What a stage gets from its surroundings: its inputs, its device, its seed, a folder for checkpoints, and a [`Host`]
//! to which it reports. The worker implements [`Host`] and [`Artifacts`]; tests have their own. Cache, graph and
//! protocol are not visible here.
//!
//! A stage kind is a module with `Params` (serde, `deny_unknown_fields`) and `pub fn run(ctx: &Context, inputs:
//! &Inputs, params: Params) -> anyhow::Result<Outputs>`. The `stage.toml` in its folder registers it when ddpipe is
//! built.

mod checkpoint;
mod inputs;
mod outputs;

pub use checkpoint::{CHECKPOINT, Checkpoint, Origin};
pub use inputs::Inputs;
pub use outputs::{Artifact, Outputs};

use crate::artifact::{Content, Folder, TensorFile};
use anyhow::{Context as _, Result};
use ddpipe_interface::protocol::{InputArtifact, LogLevel};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tch::Device;

/// The receiver of what a running stage reports.
pub trait Host {
    /// Progress: the number of steps done and of all steps, the unit of a step, and the loss if there is one.
    fn progress(&self, step: u64, total: u64, unit: &str, loss: Option<f64>);
    /// One point of a named curve.
    fn metric(&self, name: &str, step: u64, value: f64);
    /// A preview: the path of a PNG file written while the stage runs.
    fn preview(&self, step: u64, path: PathBuf);
    /// A line for the log.
    fn log(&self, level: LogLevel, text: String);
    /// Whether the stage has to save a checkpoint and stop.
    fn interrupted(&self) -> bool;
    /// Told after each step of a loop how many are done, and in the middle of long ones again; for those who count.
    fn stepped(&self, _done: u64) {}
}

/// Loads the content of a stage's inputs.
pub trait Artifacts {
    /// The tensors of an artifact, on the stage's device; they are shared if they are in memory already.
    fn tensors(&self, input: &InputArtifact) -> Result<Arc<TensorFile>>;
    /// The verified bytes of an artifact.
    fn bytes(&self, input: &InputArtifact) -> Result<Arc<Vec<u8>>>;
    /// The verified bytes of an artifact, to be read piece by piece without loading all.
    fn content(&self, input: &InputArtifact) -> Result<Content>;
    /// A folder of source files, verified against its digest.
    fn folder(&self, input: &InputArtifact) -> Result<Arc<Folder>>;
}

/// The error of a stage that was asked to stop, after its checkpoint is saved.
#[derive(Debug, thiserror::Error)]
#[error("interrupted; the checkpoint is saved and the next run continues from it")]
pub struct Interrupted;

/// The surroundings of a stage while it runs.
pub struct Context {
    /// The device on which tensors are stored and computed.
    pub device: Device,
    /// The seed of every random stream: `stream(ctx.seed, "purpose", step)`.
    pub seed: u64,
    scratch: PathBuf,
    /// What its checkpoints belong to.
    origin: Origin,
    every: Duration,
    host: Box<dyn Host>,
    started: Instant,
    /// Seconds that earlier, interrupted runs of the stage took.
    earlier: Cell<f64>,
    last_saved: Cell<Instant>,
    last_told: Cell<Option<Instant>>,
    /// The previews that are on disk, the oldest first.
    previews: RefCell<VecDeque<PathBuf>>,
}

/// Previews that are kept on disk.
const PREVIEWS: usize = 3;

impl Context {
    /// A context with this folder for checkpoints; one is saved whenever `every` has passed.
    pub fn new(device: Device, seed: u64, scratch: PathBuf, every: Duration, host: Box<dyn Host>) -> Self {
        let started = Instant::now();
        let (last_saved, last_told, earlier) = (Cell::new(started), Cell::new(None), Cell::new(0.0));
        let origin = Origin::default();
        let previews = RefCell::default();
        Context { device, seed, scratch, origin, every, host, started, earlier, last_saved, last_told, previews }
    }

    /// The same context, whose checkpoints belong to this action, version and numerics: others are not continued.
    pub fn of(self, origin: Origin) -> Self {
        Context { origin, ..self }
    }

    /// The seconds that the stage has taken so far, with its interrupted runs.
    pub fn seconds(&self) -> f64 {
        self.earlier.get() + self.started.elapsed().as_secs_f64()
    }

    /// To be called after every step of a loop: reports progress, and saves a checkpoint when one is due, to which
    /// `fill` adds what the loop needs to continue. If the stage was asked to stop, it saves a checkpoint and returns
    /// [`Interrupted`], which the stage returns by `?`.
    pub fn step(
        &self,
        step: u64,
        total: u64,
        unit: &str,
        loss: Option<f64>,
        fill: impl FnOnce(&mut Checkpoint) -> Result<()>,
    ) -> Result<()> {
        self.progress(step, total, unit, loss);
        self.host.stepped(step);
        let interrupted = self.host.interrupted();
        if interrupted || self.last_saved.get().elapsed() >= self.every {
            let mut checkpoint = Checkpoint::new(step);
            fill(&mut checkpoint)?;
            self.save(checkpoint)?;
        }
        if interrupted { Err(Interrupted.into()) } else { Ok(()) }
    }

    /// Reports progress without saving, at most ten times a second (and at the end): for stages too short to be
    /// continued.
    pub fn progress(&self, step: u64, total: u64, unit: &str, loss: Option<f64>) {
        let quiet = self.last_told.get().is_some_and(|told| told.elapsed() < Duration::from_millis(100));
        if !quiet || step >= total {
            self.last_told.set(Some(Instant::now()));
            self.host.progress(step, total, unit, loss);
        }
    }

    /// Returns [`Interrupted`] if the stage was asked to stop: for stages that have no checkpoint.
    pub fn check(&self) -> Result<()> {
        if self.host.interrupted() { Err(Interrupted.into()) } else { Ok(()) }
    }

    /// The checkpoint that an earlier, interrupted run of the same action left; `None` if there is none or it cannot be
    /// read, which is a warning.
    pub fn resume(&self) -> Option<Checkpoint> {
        let path = self.scratch.join(CHECKPOINT);
        let bytes = std::fs::read(&path).ok()?;
        match Checkpoint::from_bytes(&bytes, &self.origin, self.device) {
            Ok((checkpoint, seconds)) => {
                self.earlier.set(seconds);
                self.log(format!("continues after step {}", checkpoint.step));
                Some(checkpoint)
            }
            Err(error) => {
                self.warn(format!(
                    "the checkpoint {} is not used: {error:#}; starts from the beginning",
                    path.display()
                ));
                None
            }
        }
    }

    /// Forgets what a checkpoint said, because of what is wrong with the files beside it: the stage starts from the
    /// beginning, which is a warning.
    pub fn start_over(&self, why: &str) {
        self.earlier.set(0.0);
        self.warn(format!("{why}; starts from the beginning"));
    }

    /// Reports one point of a named curve while the stage runs. The stage keeps its own copy for its outputs.
    pub fn metric(&self, name: &str, step: u64, value: f64) {
        self.host.metric(name, step, value);
    }

    /// Reports a preview (the bytes of a PNG file). The last three are kept. A preview that cannot be written is only a warning.
    pub fn preview(&self, step: u64, png: &[u8]) {
        let path = self.scratch.join(format!("preview-{step:08}.png"));
        match std::fs::create_dir_all(&self.scratch).and_then(|()| std::fs::write(&path, png)) {
            Ok(()) => {
                self.host.preview(step, path.clone());
                let mut previews = self.previews.borrow_mut();
                previews.push_back(path);
                if previews.len() > PREVIEWS
                    && let Some(old) = previews.pop_front()
                {
                    // One that cannot be removed goes with the scratch folder.
                    let _ = std::fs::remove_file(old);
                }
            }
            Err(error) => self.warn(format!("preview {}: {error}", path.display())),
        }
    }

    /// A new file without a name, which is deleted when it is closed, for an output of [`Artifact::File`].
    pub fn temporary(&self) -> Result<std::fs::File> {
        let make = || {
            std::fs::create_dir_all(&self.scratch)?;
            tempfile::tempfile_in(&self.scratch)
        };
        make().with_context(|| format!("could not make a file in {}", self.scratch.display()))
    }

    /// Opens the file of this name in the scratch folder, which an interrupted run may have left, or creates it: for an
    /// output that grows step by step and is too large for checkpoints.
    pub fn lasting(&self, name: &str) -> Result<std::fs::File> {
        let path = self.scratch.join(name);
        let open = || {
            std::fs::create_dir_all(&self.scratch)?;
            std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)
        };
        open().with_context(|| format!("could not open {}", path.display()))
    }

    /// Writes a line to the log, which is shown when the stage fails.
    pub fn log(&self, text: impl Into<String>) {
        self.host.log(LogLevel::Info, text.into());
    }

    /// Reports a warning, which the user sees at once.
    pub fn warn(&self, text: impl Into<String>) {
        self.host.log(LogLevel::Warn, text.into());
    }

    fn save(&self, checkpoint: Checkpoint) -> Result<()> {
        std::fs::create_dir_all(&self.scratch).with_context(|| format!("{}", self.scratch.display()))?;
        let path = self.scratch.join(CHECKPOINT);
        let aside = self.scratch.join(format!("{CHECKPOINT}.{}", std::process::id()));
        let write = || -> Result<()> {
            std::fs::write(&aside, checkpoint.to_bytes(&self.origin, self.seconds())?)?;
            std::fs::File::open(&aside)?.sync_all()?;
            Ok(std::fs::rename(&aside, &path)?)
        };
        write().with_context(|| format!("could not save a checkpoint to {}", path.display()))?;
        self.last_saved.set(Instant::now());
        Ok(())
    }
}
