//! Records: what a key gave, kept with the description that made the key and with where it was computed. This file
//! reads and writes them; only a claim's commit may publish one (`claim.rs`). Knows not what a description means.

use crate::aside::{Aside, ORDINARY};
use crate::layout::Layout;
use crate::sealed::{self, Opened};
use crate::{CacheError, Digest, Key, Numerics, disk};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The format that this program writes. It also reads format 1, which has no checksum.
pub const FORMAT: u64 = 2;

/// What one key gave. Fields that a newer program added are ignored when read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The version of the record's format; [`FORMAT`] today.
    pub format: u64,
    /// The key of the action.
    pub key: Key,
    /// The pipeline that ran it first.
    pub pipeline: String,
    /// The node that ran it first, with its axes: `distill[method=dm,seed=0]`.
    pub node: String,
    /// What the key was made of: names and canonical values, in the key's order.
    pub description: Vec<(String, String)>,
    /// The outputs by name, in the declared order.
    pub outputs: IndexMap<String, Output>,
    /// What the action asked to be given besides, by input and place, instead of giving outputs.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub asks: IndexMap<String, Vec<usize>>,
    /// Final metrics. Values that are not finite survive.
    #[serde(default, with = "crate::numbers")]
    pub metrics: IndexMap<String, f64>,
    /// Quantities that were measured and differ from run to run: seconds, rates, peak memory. In format 1 they are among
    /// the metrics.
    #[serde(default, with = "crate::numbers")]
    pub measured: IndexMap<String, f64>,
    /// Files from outside that this action read.
    #[serde(default)]
    pub sources: IndexMap<String, SourceSeen>,
    /// The circumstances of the computation; never part of the key.
    pub provenance: Provenance,
}

impl Record {
    /// The result or the measured quantity of this name.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.metrics.get(name).or_else(|| self.measured.get(name)).copied()
    }

    /// All results, and then all measured quantities.
    pub fn numbers(&self) -> IndexMap<String, f64> {
        self.metrics.iter().chain(&self.measured).map(|(name, value)| (name.clone(), *value)).collect()
    }

    /// The names of the outputs of one of two records that the other lacks or has with other bytes.
    pub fn outputs_unlike(&self, other: &Record) -> Vec<String> {
        let digest = |record: &Record, name: &String| record.outputs.get(name).map(|output| output.digest);
        let mut names: Vec<String> = self.outputs.keys().cloned().collect();
        names.extend(other.outputs.keys().filter(|name| !self.outputs.contains_key(*name)).cloned());
        names.retain(|name| digest(self, name) != digest(other, name));
        names
    }

    /// Whether both have the same outputs with the same bytes.
    pub fn same_bytes(&self, other: &Record) -> bool {
        self.outputs_unlike(other).is_empty()
    }
}

/// One output of a stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// The digest of its bytes, which names the blob.
    pub digest: Digest,
    /// Its length in bytes.
    pub bytes: u64,
    /// The artifact's type as the stage declared it: `dataset`, `model`, ….
    pub artifact_type: String,
}

/// A file from outside, as it was before the stage ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceSeen {
    /// The path that it was read from.
    pub path: PathBuf,
    /// The digest of its content.
    pub digest: Digest,
    /// Its MD5, where the manifest gives one.
    pub md5: Option<String>,
    /// Its SHA-256, where the manifest gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Whether the manifest gave a checksum and it held.
    pub verified: bool,
}

/// Where a result comes from. What many results have in common is there once, and can be read as if it were of this one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Provenance {
    /// Start, in seconds since 1970.
    pub started_unix: f64,
    /// Seconds that the stage took.
    pub seconds: f64,
    /// Peak memory in bytes, where it was measured.
    pub peak_memory: Option<u64>,
    /// What was the same for other results.
    pub circumstances: Arc<Circumstances>,
}

/// What was the same for many results when they were computed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Circumstances {
    /// The slot: `cpu`, `cuda:0`.
    pub device: String,
    /// The device's name for people.
    pub device_name: String,
    /// The machine.
    pub host: String,
    /// The version of ddpipe.
    pub ddpipe: String,
    /// The version of libtorch.
    pub libtorch: String,
    /// What decides the bits of the result beside the key. Absent in format 1 and where no worker said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numerics: Option<Numerics>,
    /// The run that computed it. Absent in records of before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The commit of the project's git repository, and whether files differ from it. Absent outside a repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<Commit>,
    /// Anything worth knowing: continued from a checkpoint, deterministic kernels off, ….
    #[serde(default)]
    pub note: Vec<String>,
}

impl Deref for Provenance {
    type Target = Circumstances;

    fn deref(&self) -> &Circumstances {
        &self.circumstances
    }
}

/// The provenance as a record's file has it.
#[derive(Serialize, Deserialize)]
struct Written {
    started_unix: f64,
    seconds: f64,
    peak_memory: Option<u64>,
    #[serde(flatten)]
    circumstances: Circumstances,
}

impl From<Written> for Provenance {
    fn from(Written { started_unix, seconds, peak_memory, circumstances }: Written) -> Self {
        Provenance { started_unix, seconds, peak_memory, circumstances: Arc::new(circumstances) }
    }
}

impl From<Provenance> for Written {
    fn from(Provenance { started_unix, seconds, peak_memory, circumstances }: Provenance) -> Self {
        Written { started_unix, seconds, peak_memory, circumstances: Arc::unwrap_or_clone(circumstances) }
    }
}

/// The state of the project's git repository when a stage ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// The commit's hash.
    pub hash: String,
    /// Whether tracked files differed from it.
    pub dirty: bool,
}

/// What lies under a key's name.
pub(crate) enum Found {
    Absent,
    Record(Box<Record>),
    /// Written by a newer program; to be left alone.
    Newer(u64),
    /// Not a record, or one of another key.
    Broken,
}

/// Reads what lies under a key's name and changes nothing. A record whose checksum or whose key does not fit its content
/// is broken.
pub(crate) fn find(layout: &Layout, key: Key) -> Result<Found, CacheError> {
    let path = layout.record(key);
    let text = match disk::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Absent),
        Err(error) => return Err(CacheError::io("read", &path)(error)),
    };
    Ok(match sealed::open(&text) {
        Some(Opened::Newer(format)) => Found::Newer(format),
        Some(Opened::Record(record)) if record.key == key && Key::of(&record.description) == key => {
            Found::Record(record)
        }
        _ => Found::Broken,
    })
}

/// The record under a key's name. A broken one is set aside and counts as absent; so does one of a newer format.
pub(crate) fn read(layout: &Layout, key: Key) -> Result<Option<Record>, CacheError> {
    match find(layout, key)? {
        Found::Record(record) => Ok(Some(*record)),
        Found::Absent | Found::Newer(_) => Ok(None),
        Found::Broken => {
            set_aside(layout, key)?;
            Ok(None)
        }
    }
}

pub(crate) fn set_aside(layout: &Layout, key: Key) -> Result<PathBuf, CacheError> {
    let to = layout.set_aside(&layout.record(key), &format!("record-{key}.json"))?;
    tracing::warn!(%key, path = %to.display(), "a broken record was set aside");
    Ok(to)
}

/// Publishes a record, over an existing one if there is one.
pub(crate) fn write(layout: &Layout, record: &Record) -> Result<(), CacheError> {
    written_aside(layout, record)?.publish(&layout.record(record.key), ORDINARY)
}

/// The same without flushing it, for one that can be had again.
pub(crate) fn write_unflushed(layout: &Layout, record: &Record) -> Result<(), CacheError> {
    written_aside(layout, record)?.publish_accelerator(&layout.record(record.key))
}

/// A record's file, written and without its name.
pub(crate) fn written_aside(layout: &Layout, record: &Record) -> Result<Aside, CacheError> {
    let path = layout.record(record.key);
    let text = sealed::seal(record).map_err(|error| CacheError::io("write", &path)(error.into()))?;
    let mut aside = Aside::new(&layout.records_tmp())?;
    aside.write(&text)?;
    Ok(aside)
}

/// Marks a record as used now. A cache that may not be written to keeps its times; then a record's age counts from its writing.
pub(crate) fn touch(path: &Path) {
    if let Err(error) = disk::touch(path) {
        tracing::debug!(path = %path.display(), %error, "the time of use was not noted");
    }
}
