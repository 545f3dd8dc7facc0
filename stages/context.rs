//! All that a stage sees of the world: its inputs, its device, its seed, a place for checkpoints, and someone to tell
//! how far it is. Knows no cache, no graph and no socket: the worker stands behind [`Host`], a test may too.
//!
//! A stage kind is a module with `Params` (serde, `deny_unknown_fields`) and
//! `pub fn run(ctx: &Context, inputs: &Inputs, params: Params) -> anyhow::Result<Outputs>`;
//! one line in `registry.rs` makes it known.

use crate::artifact::{Content, Dataset, Folder, SyntheticSet, TensorFile};
use anyhow::{Context as _, Result};
use ddpipe_interface::ArtifactType;
use ddpipe_interface::protocol::{Absent, InputArtifact, LogLevel};
use indexmap::IndexMap;
use std::cell::Cell;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tch::{Device, Tensor};

/// Who listens to a running stage.
pub trait Host {
    /// Steps done, of how many, the loss if there is one, and what a step is.
    fn progress(&self, step: u64, total: u64, unit: &str, loss: Option<f64>);
    /// One point of a named curve.
    fn metric(&self, name: &str, step: u64, value: f64);
    /// A PNG file on the way.
    fn preview(&self, step: u64, path: PathBuf);
    /// A line for the log.
    fn log(&self, level: LogLevel, text: String);
    /// Whether the stage should save a checkpoint and stop.
    fn interrupted(&self) -> bool;
}

/// Where a stage gets its inputs' content from.
pub trait Artifacts {
    /// The tensors of an artifact, on the stage's device; from memory when they are there already.
    fn tensors(&self, input: &InputArtifact) -> Result<Arc<TensorFile>>;
    /// The verified bytes of an artifact.
    fn bytes(&self, input: &InputArtifact) -> Result<Arc<Vec<u8>>>;
    /// The same, left where they are.
    fn content(&self, input: &InputArtifact) -> Result<Content>;
    /// A folder from outside, verified.
    fn folder(&self, input: &InputArtifact) -> Result<Arc<Folder>>;
}

/// The stage was asked to stop; its checkpoint is saved.
#[derive(Debug, thiserror::Error)]
#[error("interrupted; the checkpoint is saved and the next run continues from it")]
pub struct Interrupted;

/// A stage's surroundings while it runs.
pub struct Context {
    /// Where tensors live and computing happens.
    pub device: Device,
    /// The seed of every random stream: `stream(ctx.seed, "purpose", step)`.
    pub seed: u64,
    scratch: PathBuf,
    every: Duration,
    host: Box<dyn Host>,
    last_saved: Cell<Instant>,
    last_told: Cell<Option<Instant>>,
}

impl Context {
    /// A context with this folder for checkpoints, one saved after every `every`.
    pub fn new(device: Device, seed: u64, scratch: PathBuf, every: Duration, host: Box<dyn Host>) -> Self {
        let last_saved = Cell::new(Instant::now());
        Context { device, seed, scratch, every, host, last_saved, last_told: Cell::new(None) }
    }

    /// To be called after every step of a loop: tells progress, and saves `state` when a checkpoint is due. When the
    /// stage was asked to stop, saves and returns [`Interrupted`], which `?` hands on.
    pub fn step(
        &self,
        step: u64,
        total: u64,
        unit: &str,
        loss: Option<f64>,
        state: impl FnOnce() -> Checkpoint,
    ) -> Result<()> {
        self.progress(step, total, unit, loss);
        if self.host.interrupted() {
            self.save(state())?;
            return Err(Interrupted.into());
        }
        if self.last_saved.get().elapsed() >= self.every {
            self.save(state())?;
        }
        Ok(())
    }

    /// Tells progress alone, at most ten times a second (and at the end): for stages too short to be continued.
    pub fn progress(&self, step: u64, total: u64, unit: &str, loss: Option<f64>) {
        let quiet = self.last_told.get().is_some_and(|told| told.elapsed() < Duration::from_millis(100));
        if !quiet || step >= total {
            self.last_told.set(Some(Instant::now()));
            self.host.progress(step, total, unit, loss);
        }
    }

    /// Returns [`Interrupted`] when the stage was asked to stop: for stages that have nothing to save.
    pub fn check(&self) -> Result<()> {
        if self.host.interrupted() { Err(Interrupted.into()) } else { Ok(()) }
    }

    /// The checkpoint that an earlier, interrupted run of the very same action left, if there is a sound one.
    pub fn resume(&self) -> Option<Checkpoint> {
        let path = self.scratch.join(CHECKPOINT);
        let bytes = std::fs::read(&path).ok()?;
        match Checkpoint::from_bytes(&bytes, self.device) {
            Ok(checkpoint) => {
                self.log(format!("continues after step {}", checkpoint.step));
                Some(checkpoint)
            }
            Err(error) => {
                self.warn(format!("{}: {error:#}; starts from the beginning", path.display()));
                None
            }
        }
    }

    /// One point of a named curve, for whoever watches. The stage keeps its own copy for its outputs.
    pub fn metric(&self, name: &str, step: u64, value: f64) {
        self.host.metric(name, step, value);
    }

    /// A picture on the way (PNG bytes). A preview that cannot be written is only logged.
    pub fn preview(&self, step: u64, png: &[u8]) {
        let path = self.scratch.join(format!("preview-{step:08}.png"));
        match std::fs::create_dir_all(&self.scratch).and_then(|()| std::fs::write(&path, png)) {
            Ok(()) => self.host.preview(step, path),
            Err(error) => self.warn(format!("preview {}: {error}", path.display())),
        }
    }

    /// A new file without a name, which goes when nobody has it open any more: for an output of [`Artifact::File`].
    pub fn temporary(&self) -> Result<std::fs::File> {
        let make = || {
            std::fs::create_dir_all(&self.scratch)?;
            tempfile::tempfile_in(&self.scratch)
        };
        make().with_context(|| format!("could not make a file in {}", self.scratch.display()))
    }

    /// A line for the log, shown when the stage fails.
    pub fn log(&self, text: impl Into<String>) {
        self.host.log(LogLevel::Info, text.into());
    }

    /// A line that the user sees at once.
    pub fn warn(&self, text: impl Into<String>) {
        self.host.log(LogLevel::Warn, text.into());
    }

    fn save(&self, checkpoint: Checkpoint) -> Result<()> {
        std::fs::create_dir_all(&self.scratch).with_context(|| format!("{}", self.scratch.display()))?;
        let path = self.scratch.join(CHECKPOINT);
        let aside = self.scratch.join(format!("{CHECKPOINT}.{}", std::process::id()));
        let write = || -> Result<()> {
            std::fs::write(&aside, checkpoint.into_bytes()?)?;
            std::fs::File::open(&aside)?.sync_all()?;
            Ok(std::fs::rename(&aside, &path)?)
        };
        write().with_context(|| format!("could not save a checkpoint to {}", path.display()))?;
        self.last_saved.set(Instant::now());
        Ok(())
    }
}

/// The name of the checkpoint in a stage's scratch folder.
pub const CHECKPOINT: &str = "checkpoint.safetensors";

/// Everything that a loop needs to continue as if it had never stopped.
pub struct Checkpoint {
    /// Steps that are done.
    pub step: u64,
    /// Tensors by name, kept bit by bit.
    pub tensors: IndexMap<String, Tensor>,
    /// Whatever else, as JSON (numbers are kept exactly).
    pub state: serde_json::Value,
}

impl Checkpoint {
    fn into_bytes(self) -> Result<Vec<u8>> {
        let about = serde_json::json!({ "step": self.step, "state": self.state });
        let file = TensorFile { artifact: ArtifactType::Model, tensors: self.tensors, about };
        file.to_bytes()
    }

    fn from_bytes(bytes: &[u8], device: Device) -> Result<Self> {
        let file = TensorFile::from_bytes(bytes, device)?;
        let step = file.about["step"].as_u64().context("a checkpoint without a step")?;
        Ok(Checkpoint { step, state: file.about["state"].clone(), tensors: file.tensors })
    }

    /// The tensor of this name, or an error.
    pub fn get(&self, name: &str) -> Result<&Tensor> {
        self.tensors.get(name).with_context(|| format!("the checkpoint has no {name:?}"))
    }
}

/// What a stage reads, by the names of its declaration.
pub struct Inputs {
    entries: IndexMap<String, Vec<InputArtifact>>,
    absent: IndexMap<String, Vec<Absent>>,
    artifacts: Box<dyn Artifacts>,
}

impl Inputs {
    /// These artifacts, read through `artifacts`.
    pub fn new(entries: IndexMap<String, Vec<InputArtifact>>, artifacts: Box<dyn Artifacts>) -> Self {
        Inputs { entries, absent: IndexMap::new(), artifacts }
    }

    /// The same, with what on-demand inputs could be given besides.
    pub fn with_absent(self, absent: IndexMap<String, Vec<Absent>>) -> Self {
        Inputs { absent, ..self }
    }

    /// Whether an optional input is connected.
    pub fn has(&self, name: &str) -> bool {
        self.entries.get(name).is_some_and(|entries| !entries.is_empty())
    }

    /// The artifact's own description: type, name for messages, digest, labels.
    pub fn one(&self, name: &str) -> Result<&InputArtifact> {
        let first = self.entries.get(name).and_then(|entries| entries.first());
        first.with_context(|| format!("input {name:?} is not connected"))
    }

    /// All artifacts of an input that takes many.
    pub fn many(&self, name: &str) -> &[InputArtifact] {
        self.entries.get(name).map_or(&[], Vec::as_slice)
    }

    /// What is connected to an on-demand input and was not asked for yet; see [`Outputs::ask`].
    pub fn absent(&self, name: &str) -> &[Absent] {
        self.absent.get(name).map_or(&[], Vec::as_slice)
    }

    /// The tensors of an input, on the device.
    pub fn tensors(&self, name: &str) -> Result<Arc<TensorFile>> {
        self.tensors_of(self.one(name)?)
    }

    /// The tensors of one artifact, on the device.
    pub fn tensors_of(&self, input: &InputArtifact) -> Result<Arc<TensorFile>> {
        self.artifacts.tensors(input).with_context(|| format!("input {}", input.name))
    }

    /// The verified bytes of an input.
    pub fn bytes(&self, name: &str) -> Result<Arc<Vec<u8>>> {
        self.bytes_of(self.one(name)?)
    }

    /// The verified bytes of one artifact.
    pub fn bytes_of(&self, input: &InputArtifact) -> Result<Arc<Vec<u8>>> {
        self.artifacts.bytes(input).with_context(|| format!("input {}", input.name))
    }

    /// The verified bytes of an input, to be read piece by piece.
    pub fn content(&self, name: &str) -> Result<Content> {
        let input = self.one(name)?;
        self.artifacts.content(input).with_context(|| format!("input {}", input.name))
    }

    /// An input of type `folder`.
    pub fn folder(&self, name: &str) -> Result<Arc<Folder>> {
        let input = self.one(name)?;
        self.artifacts.folder(input).with_context(|| format!("input {}", input.name))
    }

    /// An input as a data set.
    pub fn dataset(&self, name: &str) -> Result<Dataset> {
        Dataset::from_file(&*self.tensors(name)?).with_context(|| format!("input {name:?}"))
    }

    /// An input as a synthetic set.
    pub fn synthetic(&self, name: &str) -> Result<SyntheticSet> {
        SyntheticSet::from_file(&*self.tensors(name)?).with_context(|| format!("input {name:?}"))
    }
}

/// One thing that a stage made.
#[derive(Debug)]
pub enum Artifact {
    /// Named tensors; they stay on the device for the next stage.
    Tensors(TensorFile),
    /// A JSON document (`metrics`, `table`).
    Json(ArtifactType, serde_json::Value),
    /// Bytes as they are (`image`, `files`).
    Bytes(ArtifactType, Vec<u8>),
    /// The same in a file of [`Context::temporary`]: what is too large for memory.
    File(ArtifactType, std::fs::File),
}

/// What a stage made, by the names of its declaration, and its scalar results.
#[derive(Debug, Default)]
pub struct Outputs {
    /// Every declared output.
    pub artifacts: IndexMap<String, Artifact>,
    /// Scalars that expectations and tables address as `node.name`.
    pub metrics: IndexMap<String, f64>,
    /// Places of absent artifacts that the stage needs, by input. When there are any, all else is discarded, and the
    /// stage runs again with them.
    pub asks: IndexMap<String, Vec<usize>>,
}

impl Outputs {
    /// Asks for an absent artifact of an on-demand input.
    pub fn ask(mut self, input: &str, absent: &Absent) -> Self {
        self.asks.entry(input.into()).or_default().push(absent.position);
        self
    }

    /// Adds tensors.
    pub fn tensors(mut self, name: &str, file: TensorFile) -> Self {
        self.artifacts.insert(name.into(), Artifact::Tensors(file));
        self
    }

    /// Adds a JSON document.
    pub fn json(mut self, name: &str, artifact: ArtifactType, value: serde_json::Value) -> Self {
        self.artifacts.insert(name.into(), Artifact::Json(artifact, value));
        self
    }

    /// Adds bytes.
    pub fn bytes(mut self, name: &str, artifact: ArtifactType, bytes: Vec<u8>) -> Self {
        self.artifacts.insert(name.into(), Artifact::Bytes(artifact, bytes));
        self
    }

    /// Adds the bytes of a file.
    pub fn file(mut self, name: &str, artifact: ArtifactType, file: std::fs::File) -> Self {
        self.artifacts.insert(name.into(), Artifact::File(artifact, file));
        self
    }

    /// Adds a scalar result.
    pub fn metric(mut self, name: &str, value: f64) -> Self {
        self.metrics.insert(name.into(), value);
        self
    }
}
