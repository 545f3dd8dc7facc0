//! The messages between the engine and one worker: JSON with a 4-byte little-endian length in front, over a Unix
//! socket. Bulk data never goes through it: artifacts are named by digest and lie in the cache.

use crate::{ArtifactType, Value};
use ddpipe_cache::{Digest, Key, Numerics};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::io::{self, Read, Write};
use std::path::PathBuf;

/// Raised when a message changes its meaning; the two sides refuse each other when they differ.
pub const PROTOCOL_VERSION: u32 = 3;

/// The most bytes of one message, 64 MiB: a longer frame is a broken stream, and a longer message is not sent.
pub const MAX_FRAME: u32 = 64 << 20;

/// Names one job within one worker's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub u64);

/// A message of the engine to a worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToWorker {
    /// Run one stage. A worker takes the next job only after `Done` or `Failed`.
    Run(Box<Job>),
    /// Save a checkpoint as soon as possible and end the job with `Failed { cause: Interrupted }`.
    Cancel {
        /// The job to end.
        id: JobId,
    },
    /// Finish writing what is pending and exit.
    Shutdown,
}

/// One stage to run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    /// Its name in this conversation.
    pub id: JobId,
    /// The node's address, for logs only.
    pub node: String,
    /// The stage kind.
    pub kind: String,
    /// The program of a project's own kind, absent for built-in ones: argument list and the folder to run it from.
    pub command: Option<Command>,
    /// All parameters, defaults filled in, of the declared types.
    pub params: IndexMap<String, Value>,
    /// The seed of every random stream.
    pub seed: u64,
    /// Inputs by name, in order; one entry unless the input takes many.
    pub inputs: IndexMap<String, Vec<InputArtifact>>,
    /// What is connected to on-demand inputs and not there: the stage may ask for it.
    #[serde(default)]
    pub absent: IndexMap<String, Vec<Absent>>,
    /// Declared outputs by name.
    pub outputs: IndexMap<String, ArtifactType>,
    /// The key of the action, and the version of the kind: checkpoints of others are not continued.
    pub key: Key,
    /// The version of the kind.
    pub version: u32,
    /// A folder of the stage's own under its key: checkpoints. Kept until the record is committed.
    pub scratch: PathBuf,
}

/// The program of a project's own stage kind.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Command {
    /// The argument list; run without a shell.
    pub argv: Vec<String>,
    /// The folder that relative names in `argv` refer to.
    pub folder: PathBuf,
    /// The digest of that folder when the run was planned: the program does not run, and its result does not count, when
    /// the folder has another one.
    pub digest: Digest,
    /// Files outside the folder that belong to the program, such as its interpreter, with their digests likewise.
    pub files: Vec<(PathBuf, Digest)>,
    /// The environment variables that the declaration names, where they are set.
    pub env: Vec<(String, String)>,
}

/// One artifact handed to a stage.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InputArtifact {
    /// The digest of its bytes; a worker that has it resident does not read the file.
    pub digest: Digest,
    /// Its type.
    #[serde(rename = "type")]
    pub artifact: ArtifactType,
    /// Where the bytes lie: a blob of the cache, or a source file.
    pub path: PathBuf,
    /// True for a source file: it may change behind ddpipe's back, so it is verified as it is read.
    pub source: bool,
    /// The file name for messages: a source's own name, or `node.output`.
    pub name: String,
    /// The axes of the node it came from, and `stage`; what tables call their rows and columns by.
    #[serde(default)]
    pub labels: IndexMap<String, Value>,
    /// Scalar metrics of the record that it belongs to.
    #[serde(default)]
    pub metrics: IndexMap<String, f64>,
    /// The axes that the consumer folds (mean ± std), from `gather … over`.
    #[serde(default)]
    pub over: Vec<String>,
}

/// One artifact that a stage could be handed if it asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Absent {
    /// Its place among all that is connected to the input, from 0: what [`FromWorker::Done`] asks by.
    pub position: usize,
    /// As [`InputArtifact::labels`].
    pub labels: IndexMap<String, Value>,
}

/// A message of a worker to the engine.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromWorker {
    /// The first message.
    Hello {
        /// Must equal [`PROTOCOL_VERSION`].
        protocol: u32,
        /// The worker's process.
        pid: u32,
        /// `cpu`, `cuda:0`, …
        device: String,
        /// The device in words, for provenance.
        device_name: String,
        /// libtorch's version.
        libtorch: String,
        /// What decides the bits of this worker's results; absent of a worker that cannot say it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        numerics: Option<Numerics>,
    },
    /// Where a running job stands.
    Progress {
        /// The job.
        id: JobId,
        /// Steps done.
        step: u64,
        /// Steps in all.
        total: u64,
        /// The loss, where there is one.
        loss: Option<f64>,
        /// What a step is: `iterations`, `epochs`, …
        unit: String,
    },
    /// One point of a curve.
    Metric {
        /// The job.
        id: JobId,
        /// The curve.
        name: String,
        /// Where on the curve.
        step: u64,
        /// The value.
        value: f64,
    },
    /// A picture on the way.
    Preview {
        /// The job.
        id: JobId,
        /// After how many steps.
        step: u64,
        /// A PNG file in the job's scratch folder.
        path: PathBuf,
    },
    /// A line for the log.
    Log {
        /// The job.
        id: JobId,
        /// `warn` lines are shown to the user, `info` lines kept for failures.
        level: LogLevel,
        /// One line.
        text: String,
    },
    /// The job is over and its outputs are known by digest and resident; their bytes are being written behind.
    Done {
        /// The job.
        id: JobId,
        /// Every declared output; none when the stage asks for more.
        outputs: IndexMap<String, OutputArtifact>,
        /// Places of absent artifacts that the stage needs, by input: it is run again with them.
        #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
        asks: IndexMap<String, Vec<usize>>,
        /// Scalar results, addressed in expectations as `node.metric`; with them `peak_memory_bytes` of the process and
        /// `peak_device_memory_bytes` of a GPU, where they can be known.
        metrics: IndexMap<String, f64>,
        /// Seconds of the stage itself.
        seconds: f64,
        /// Peak memory in bytes, of the device where it has its own, else of the process.
        peak_memory: Option<u64>,
    },
    /// All outputs of the job lie in the cache, flushed.
    Stored {
        /// The job.
        id: JobId,
    },
    /// The job failed, or its outputs could not be written (then this follows `Done`).
    Failed {
        /// The job.
        id: JobId,
        /// What kind of failure.
        cause: Cause,
        /// What happened, location first.
        message: String,
        /// What to do next, where it is known.
        hint: Option<String>,
    },
}

/// One artifact that a stage made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutputArtifact {
    /// The digest of its bytes.
    pub digest: Digest,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its type.
    #[serde(rename = "type")]
    pub artifact: ArtifactType,
}

/// The level of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Kept, shown on failure.
    Info,
    /// Shown.
    Warn,
}

/// Why a job failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The stage returned an error.
    Error,
    /// The stage panicked.
    Panic,
    /// The device ran out of memory.
    OutOfMemory,
    /// It was asked to stop; its checkpoint is saved.
    Interrupted,
    /// The bytes of an input are not those of its digest.
    DamagedInput,
    /// The outputs could not be written to the cache.
    Store,
    /// The worker's process ended (only the engine says this).
    WorkerDied,
    /// The worker broke the protocol or speaks another version of it (only the engine says this).
    Protocol,
    /// The stage took longer than its `timeout` (only the engine says this).
    Timeout,
    /// The cache could not be read or written for this node (only the engine says this).
    Cache,
}

impl Cause {
    /// Its name in events, records and manifests: `worker_died`.
    pub fn name(self) -> &'static str {
        match self {
            Cause::Error => "error",
            Cause::Panic => "panic",
            Cause::OutOfMemory => "out_of_memory",
            Cause::Interrupted => "interrupted",
            Cause::DamagedInput => "damaged_input",
            Cause::Store => "store",
            Cause::WorkerDied => "worker_died",
            Cause::Protocol => "protocol",
            Cause::Timeout => "timeout",
            Cause::Cache => "cache",
        }
    }
}

/// One message as its frame: the length, then the JSON.
///
/// # Errors
/// Of kind `InvalidInput` when the message is longer than [`MAX_FRAME`] or is no JSON; then nothing was sent.
pub fn encode<T: Serialize>(message: &T) -> io::Result<Vec<u8>> {
    let mut frame = vec![0u8; 4];
    let refused = |text: String| io::Error::new(io::ErrorKind::InvalidInput, text);
    serde_json::to_writer(&mut frame, message).map_err(|error| refused(format!("a message is no JSON: {error}")))?;
    let length = u32::try_from(frame.len() - 4).ok().filter(|&length| length <= MAX_FRAME);
    let length = length.ok_or_else(|| {
        refused(format!("a message of {} bytes is above the limit of {} MiB", frame.len() - 4, MAX_FRAME >> 20))
    })?;
    frame[..4].copy_from_slice(&length.to_le_bytes());
    Ok(frame)
}

/// Writes one message and flushes.
///
/// # Errors
/// As [`encode`], before anything is written; otherwise those of the stream.
pub fn write_message<T: Serialize>(stream: &mut impl Write, message: &T) -> io::Result<()> {
    stream.write_all(&encode(message)?)?;
    stream.flush()
}

/// Reads the JSON of one message; `None` when the other side closed the stream between two messages.
///
/// # Errors
/// `InvalidData` for a frame above [`MAX_FRAME`], `UnexpectedEof` when the stream ends inside a message.
pub fn read_frame(stream: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0u8; 4];
    match stream.read_exact(&mut length[..1]) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let cut = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => io::Error::new(error.kind(), "the stream ended in the middle of a message"),
        _ => error,
    };
    stream.read_exact(&mut length[1..]).map_err(cut)?;
    let length = u32::from_le_bytes(length);
    if length > MAX_FRAME {
        let text = format!("a message of {length} bytes is above the limit of {} MiB", MAX_FRAME >> 20);
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    // Grows with what arrives: a length alone takes no memory.
    let mut body = Vec::new();
    stream.by_ref().take(u64::from(length)).read_to_end(&mut body)?;
    if body.len() < length as usize {
        return Err(cut(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(Some(body))
}

/// Reads one message; `None` when the other side closed the stream between two messages.
///
/// # Errors
/// As [`read_frame`]; `InvalidData` for a message that is not known here.
pub fn read_message<T: DeserializeOwned>(stream: &mut impl Read) -> io::Result<Option<T>> {
    let Some(body) = read_frame(stream)? else { return Ok(None) };
    serde_json::from_slice(&body).map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}
