//! Runs one stage kind in a test as the worker would: parameters checked and filled in from the declaration, inputs
//! from memory, everything the stage says recorded, outputs held against the declaration.
//! `Stage::of("decode.idx").input("images", …).param("classes", 3).run()`.

mod sets;
pub mod small;

pub use sets::byte_set;

use anyhow::{Result, anyhow, ensure};
use ddpipe_cache::{Digest, folder};
use ddpipe_interface::protocol::{Absent, InputArtifact, LogLevel};
use ddpipe_interface::{ArtifactType, Declaration, Value};
use ddpipe_nn::pieces;
use ddpipe_stages::artifact::{Content as Source, Folder, TensorFile};
use ddpipe_stages::context::{Artifact, Artifacts, Context, Host, Inputs, Outputs};
use ddpipe_stages::launches::{self, Counts};
use ddpipe_stages::registry;
use indexmap::IndexMap;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tch::Device;

/// A stage that is about to run.
pub struct Stage {
    kind: String,
    seed: u64,
    params: IndexMap<String, Value>,
    entries: IndexMap<String, Vec<InputArtifact>>,
    absent: IndexMap<String, Vec<Absent>>,
    memory: Memory,
    recorder: Recorder,
    scratch: Option<PathBuf>,
    every: Duration,
}

impl Stage {
    /// A stage of this kind, on the CPU, with seed 0 and all defaults.
    pub fn of(kind: &str) -> Self {
        Stage {
            kind: kind.to_string(),
            seed: 0,
            params: IndexMap::new(),
            entries: IndexMap::new(),
            absent: IndexMap::new(),
            memory: Memory::default(),
            recorder: Recorder::default(),
            scratch: None,
            every: Duration::from_secs(3600),
        }
    }

    /// Another seed.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// A parameter, as a manifest would give it.
    pub fn param(mut self, name: &str, value: impl serde::Serialize) -> Self {
        let value = serde_json::from_value(serde_json::to_value(value).unwrap()).unwrap();
        self.params.insert(name.to_string(), value);
        self
    }

    /// Connects what another stage made.
    pub fn input(self, input: &str, name: &str, artifact: &Artifact) -> Self {
        let (artifact, content) = match artifact {
            Artifact::Tensors(file) => (file.artifact, Content::Tensors(Arc::new(file.to_device(Device::Cpu)))),
            Artifact::Json(artifact, value) => (*artifact, Content::bytes(value.to_string().into_bytes())),
            Artifact::Bytes(artifact, bytes) => (*artifact, Content::bytes(bytes.clone())),
            Artifact::File(..) => unreachable!("`run` reads files"),
        };
        self.connect(input, name, artifact, content)
    }

    /// Connects tensors.
    pub fn tensors(self, input: &str, name: &str, file: &TensorFile) -> Self {
        let content = Content::Tensors(Arc::new(file.to_device(Device::Cpu)));
        self.connect(input, name, file.artifact, content)
    }

    /// Connects a file.
    pub fn file(self, input: &str, name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.connect(input, name, ArtifactType::Files, Content::bytes(bytes.into()))
    }

    /// Connects a folder of files, by its path.
    pub fn folder(mut self, input: &str, name: &str, path: &std::path::Path) -> Self {
        let found = folder::walk(path).unwrap();
        let digest = |found: &folder::Found| found.place.as_ref().ok().map(|path| Digest::of_file(path).unwrap().0);
        let digests: Vec<_> = found.iter().map(|found| (found.name.as_str(), digest(found))).collect();
        let digest = folder::digest_of(digests);
        self = self.connect(input, name, ArtifactType::Folder, Content::bytes(Vec::new()));
        let entry = self.entries[input].last_mut().unwrap();
        (entry.path, entry.digest) = (path.to_path_buf(), digest);
        self
    }

    /// Adds a result with its labels and metrics, folded over these axes.
    pub fn result(
        self,
        input: &str,
        labels: &[(&str, Value)],
        metrics: &[(&str, f64)],
        over: &[&str],
        document: serde_json::Value,
    ) -> Self {
        let name = format!("result {}", self.entries.get(input).map_or(0, Vec::len));
        let content = Content::bytes(document.to_string().into_bytes());
        let mut stage = self.connect(input, &name, ArtifactType::Metrics, content);
        let entry = stage.entries[input].last_mut().unwrap();
        entry.labels = labels.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
        entry.metrics = metrics.iter().map(|(name, value)| (name.to_string(), *value)).collect();
        entry.over = over.iter().map(|axis| axis.to_string()).collect();
        stage
    }

    /// Something that an on-demand input could be given, at its place among all that is connected to it.
    pub fn absent(mut self, input: &str, position: usize, labels: &[(&str, Value)]) -> Self {
        let labels = labels.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
        self.absent.entry(input.to_string()).or_default().push(Absent { position, labels });
        self
    }

    /// Where checkpoints lie and after how long one is saved; to be given again to the stage that continues.
    pub fn scratch(mut self, folder: &std::path::Path, every: Duration) -> Self {
        self.scratch = Some(folder.to_path_buf());
        self.every = every;
        self
    }

    /// Asks the stage to stop after it has asked this many times whether to (loops ask once per step).
    pub fn interrupt_after(self, step: u64) -> Self {
        self.recorder.interrupt_after.store(step, Ordering::SeqCst);
        self
    }

    /// The same stage once more, with nothing said yet and nobody who stops it.
    pub fn again(&self) -> Self {
        Stage {
            kind: self.kind.clone(),
            seed: self.seed,
            params: self.params.clone(),
            entries: self.entries.clone(),
            absent: self.absent.clone(),
            memory: self.memory.clone(),
            recorder: Recorder::default(),
            scratch: self.scratch.clone(),
            every: self.every,
        }
    }

    /// What the stage says while it runs; clone it before `run`.
    pub fn recorder(&self) -> Recorder {
        self.recorder.clone()
    }

    /// Runs the stage.
    pub fn run(mut self) -> Result<Outputs> {
        pieces::use_threads(THREADS.load(Ordering::SeqCst));
        let kind =
            Some(registry::TEMPLATE).filter(|kind| kind.name == self.kind).or_else(|| registry::find(&self.kind));
        let kind = kind.ok_or_else(|| anyhow!("no kind {:?}", self.kind))?;
        let declaration = Declaration::parse(kind.declaration)?;
        let params = fill(&declaration, &self.params)?;
        for (name, entries) in &self.entries {
            let input = declaration.inputs.get(name).ok_or_else(|| anyhow!("no input {name:?}"))?;
            ensure!(input.many || entries.len() == 1, "input {name:?} takes one artifact");
            for entry in entries {
                ensure!(input.types.contains(&entry.artifact), "input {name:?} takes no {}", entry.artifact);
            }
        }
        for (name, input) in &declaration.inputs {
            let connected = self.entries.contains_key(name) || (input.on_demand && self.absent.contains_key(name));
            ensure!(input.optional || connected, "input {name:?} is not connected");
        }
        let folder = tempfile::tempdir()?;
        let scratch = self.scratch.take().unwrap_or_else(|| folder.path().to_path_buf());
        let context = Context::new(Device::Cpu, self.seed, scratch, self.every, Box::new(self.recorder.clone()));
        let inputs = Inputs::new(self.entries, Box::new(self.memory)).with_absent(self.absent);
        let mut outputs = kind.run(&context, &inputs, &params)?;
        for artifact in outputs.artifacts.values_mut() {
            if let Artifact::File(kind, file) = artifact {
                let bytes = Source::of_file(file.try_clone()?)?.to_vec()?;
                *artifact = Artifact::Bytes(*kind, bytes.to_vec());
            }
        }
        kind.check_metrics(outputs.metrics.keys().map(String::as_str), &params)?;
        if !outputs.asks.is_empty() {
            return Ok(outputs);
        }

        let made: Vec<_> = outputs.artifacts.iter().map(|(name, artifact)| (name.clone(), type_of(artifact))).collect();
        let mut declared: Vec<_> =
            declaration.outputs.iter().map(|(name, output)| (name.clone(), output.artifact)).collect();
        declared.sort_by_key(|(name, _)| made.iter().position(|(made, _)| made == name));
        ensure!(made == declared, "{} made {made:?}, but declares {declared:?}", self.kind);
        Ok(outputs)
    }

    fn connect(mut self, input: &str, name: &str, artifact: ArtifactType, content: Content) -> Self {
        let digest = content.digest();
        self.memory.content.insert(digest, content);
        self.entries.entry(input.to_string()).or_default().push(InputArtifact {
            digest,
            artifact,
            path: PathBuf::from("in memory"),
            source: false,
            name: name.to_string(),
            labels: IndexMap::new(),
            metrics: IndexMap::new(),
            over: Vec::new(),
        });
        self
    }
}

/// The number of threads that compute the pieces of the stages of this process. The first stage decides it.
pub static THREADS: AtomicUsize = AtomicUsize::new(2);

/// The given parameters checked, the others at their defaults: what the engine does before it sends a job.
pub fn fill(declaration: &Declaration, given: &IndexMap<String, Value>) -> Result<IndexMap<String, Value>> {
    let mut filled = IndexMap::new();
    for name in given.keys() {
        ensure!(declaration.params.contains_key(name), "no parameter {name:?}");
    }
    for (name, param) in &declaration.params {
        let value = match given.get(name) {
            Some(value) => Some(param.accept(value.clone()).map_err(|why| anyhow!("parameter {name:?}: {why}"))?),
            None => param.default.clone(),
        };
        ensure!(value.is_some() || param.optional, "parameter {name:?} has to be given");
        filled.extend(value.map(|value| (name.clone(), value)));
    }
    declaration.settle(&mut filled, |name| given.contains_key(name));
    Ok(declaration.told(&filled))
}

/// The tensors of an output.
pub fn tensors<'a>(outputs: &'a Outputs, name: &str) -> &'a TensorFile {
    match &outputs.artifacts[name] {
        Artifact::Tensors(file) => file,
        other => panic!("output {name:?} is {other:?}"),
    }
}

/// The bytes of an output.
pub fn bytes<'a>(outputs: &'a Outputs, name: &str) -> &'a [u8] {
    match &outputs.artifacts[name] {
        Artifact::Bytes(_, bytes) => bytes,
        other => panic!("output {name:?} is {other:?}"),
    }
}

/// The text of an output.
pub fn text<'a>(outputs: &'a Outputs, name: &str) -> &'a str {
    std::str::from_utf8(bytes(outputs, name)).unwrap()
}

/// The document of an output.
pub fn json<'a>(outputs: &'a Outputs, name: &str) -> &'a serde_json::Value {
    match &outputs.artifacts[name] {
        Artifact::Json(_, value) => value,
        other => panic!("output {name:?} is {other:?}"),
    }
}

/// Everything that a stage made, as bytes by name: what it asks for, its artifacts and its scalars. Of a scalar that tells
/// the time or a speed, which no two runs agree in, the name alone.
pub fn made(outputs: &Outputs) -> BTreeMap<String, Vec<u8>> {
    let artifacts = outputs.artifacts.iter().map(|(name, artifact)| {
        let bytes = match artifact {
            Artifact::Tensors(file) => file.to_bytes().unwrap(),
            Artifact::Json(_, value) => value.to_string().into_bytes(),
            Artifact::Bytes(_, bytes) => bytes.clone(),
            Artifact::File(..) => unreachable!("`run` reads files"),
        };
        (format!("output {name:?}"), bytes)
    });
    let scalars = outputs.metrics.iter().map(|(name, value)| {
        let of_time = name.ends_with("seconds") || name.ends_with("per_second");
        (format!("scalar {name:?}"), if of_time { Vec::new() } else { value.to_bits().to_le_bytes().to_vec() })
    });
    let asks = outputs.asks.iter().map(|(input, places)| (format!("list of {input:?}"), format!("{places:?}").into()));
    artifacts.chain(scalars).chain(asks).collect()
}

/// An error with all its causes, in one line.
pub fn message(result: Result<Outputs>) -> String {
    match result {
        Ok(outputs) => panic!("expected an error, got {:?}", outputs.artifacts.keys()),
        Err(error) => format!("{error:#}"),
    }
}

fn type_of(artifact: &Artifact) -> ArtifactType {
    match artifact {
        Artifact::Tensors(file) => file.artifact,
        Artifact::Json(artifact, _) | Artifact::Bytes(artifact, _) | Artifact::File(artifact, _) => *artifact,
    }
}

#[derive(Clone)]
enum Content {
    Tensors(Arc<TensorFile>),
    Bytes(Arc<Vec<u8>>),
}

impl Content {
    fn bytes(bytes: Vec<u8>) -> Self {
        Content::Bytes(Arc::new(bytes))
    }

    fn digest(&self) -> Digest {
        match self {
            Content::Tensors(file) => Digest::of(&file.to_bytes().unwrap()),
            Content::Bytes(bytes) => Digest::of(bytes),
        }
    }
}

// `Artifacts` hands out `Arc`s, as the worker shares tensors; here nothing crosses a thread.
#[derive(Clone, Default)]
struct Memory {
    content: HashMap<Digest, Content>,
}

impl Artifacts for Memory {
    fn tensors(&self, input: &InputArtifact) -> Result<Arc<TensorFile>> {
        match self.content.get(&input.digest) {
            Some(Content::Tensors(file)) => Ok(file.clone()),
            _ => Err(anyhow!("holds no tensors")),
        }
    }

    fn bytes(&self, input: &InputArtifact) -> Result<Arc<Vec<u8>>> {
        match self.content.get(&input.digest) {
            Some(Content::Bytes(bytes)) => Ok(bytes.clone()),
            Some(Content::Tensors(file)) => Ok(Arc::new(file.to_bytes()?)),
            None => Err(anyhow!("is not in memory")),
        }
    }

    fn content(&self, input: &InputArtifact) -> Result<Source> {
        Ok(Source::Memory(self.bytes(input)?))
    }

    fn folder(&self, input: &InputArtifact) -> Result<Arc<Folder>> {
        Ok(Arc::new(Folder::open(&input.path, input.digest)?))
    }
}

/// One thing that a stage told its host.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Steps done, in all, and the loss.
    Progress(u64, u64, Option<f64>),
    /// A point of a curve.
    Metric(String, u64, f64),
    /// The step of a preview, and the PNG file's bytes.
    Preview(u64, Vec<u8>),
    /// A line of the log.
    Log(LogLevel, String),
}

/// What was counted up to a moment.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Steps that were done.
    pub done: u64,
    /// What this process did.
    pub counts: Counts,
    /// Points of curves, each of which was read from the device.
    pub points: i64,
    /// Pictures, likewise.
    pub pictures: i64,
}

/// Keeps everything that a stage says.
#[derive(Clone)]
pub struct Recorder {
    events: Arc<Mutex<Vec<Event>>>,
    interrupt_after: Arc<AtomicU64>,
    steps: Arc<AtomicU64>,
    moments: Arc<Mutex<Vec<Moment>>>,
}

impl Default for Recorder {
    fn default() -> Self {
        let never = Arc::new(AtomicU64::new(u64::MAX));
        Recorder { events: Arc::default(), interrupt_after: never, steps: Arc::default(), moments: Arc::default() }
    }
}

impl Recorder {
    /// What was said so far. Progress comes at most ten times a second, so not every step is in it.
    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }

    /// What was counted when a step was done, where this process counts.
    pub fn moments(&self) -> Vec<Moment> {
        self.moments.lock().unwrap().clone()
    }

    fn push(&self, event: Event) {
        self.events.lock().unwrap().push(event);
    }
}

impl Host for Recorder {
    fn progress(&self, step: u64, total: u64, _unit: &str, loss: Option<f64>) {
        self.push(Event::Progress(step, total, loss));
    }

    fn metric(&self, name: &str, step: u64, value: f64) {
        self.push(Event::Metric(name.to_string(), step, value));
    }

    fn preview(&self, step: u64, path: PathBuf) {
        self.push(Event::Preview(step, std::fs::read(path).unwrap()));
    }

    fn log(&self, level: LogLevel, text: String) {
        self.push(Event::Log(level, text));
    }

    fn stepped(&self, done: u64) {
        if launches::counting() {
            let events = self.events.lock().unwrap();
            let points = events.iter().filter(|event| matches!(event, Event::Metric(..))).count() as i64;
            let pictures = events.iter().filter(|event| matches!(event, Event::Preview(..))).count() as i64;
            self.moments.lock().unwrap().push(Moment { done, counts: launches::counts(), points, pictures });
        }
    }

    // Asked once per step of a loop, which is what makes an interruption repeatable: progress is told by the clock.
    fn interrupted(&self) -> bool {
        self.steps.fetch_add(1, Ordering::SeqCst) + 1 > self.interrupt_after.load(Ordering::SeqCst)
    }
}
