//! Records: what a key gave, kept with the description that made the key and with where it was computed. This file
//! reads and writes them; only a claim's commit may publish one (`claim.rs`). Knows not what a description means.

use crate::aside::{Aside, ORDINARY};
use crate::layout::Layout;
use crate::{CacheError, Digest, Key};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The format that this program writes and understands.
pub const FORMAT: u64 = 1;

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
    #[serde(default, with = "numbers")]
    pub metrics: IndexMap<String, f64>,
    /// Files from outside that this action read.
    #[serde(default)]
    pub sources: IndexMap<String, SourceSeen>,
    /// The circumstances of the computation; never part of the key.
    pub provenance: Provenance,
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
    /// Whether the manifest gave a checksum and it held.
    pub verified: bool,
}

/// Where a result comes from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Start, in seconds since 1970.
    pub started_unix: f64,
    /// Seconds that the stage took.
    pub seconds: f64,
    /// The slot: `cpu`, `cuda:0`.
    pub device: String,
    /// The device's name for people.
    pub device_name: String,
    /// Peak memory in bytes, where it was measured.
    pub peak_memory: Option<u64>,
    /// The machine.
    pub host: String,
    /// The version of ddpipe.
    pub ddpipe: String,
    /// The version of libtorch.
    pub libtorch: String,
    /// Anything worth knowing: continued from a checkpoint, deterministic kernels off, ….
    #[serde(default)]
    pub note: Vec<String>,
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

#[derive(Deserialize)]
struct Format {
    format: u64,
}

/// Reads what lies under a key's name and changes nothing.
pub(crate) fn find(layout: &Layout, key: Key) -> Result<Found, CacheError> {
    let path = layout.record(key);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Absent),
        Err(error) => return Err(CacheError::io("read", &path)(error)),
    };
    match serde_json::from_slice::<Format>(&text) {
        Ok(Format { format }) if format != FORMAT => return Ok(Found::Newer(format)),
        Ok(_) => {}
        Err(_) => return Ok(Found::Broken),
    }
    match serde_json::from_slice::<Record>(&text) {
        Ok(record) if record.key == key => Ok(Found::Record(Box::new(record))),
        _ => Ok(Found::Broken),
    }
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
    let path = layout.record(record.key);
    let mut text = serde_json::to_vec_pretty(record).map_err(|error| CacheError::io("write", &path)(error.into()))?;
    text.push(b'\n');
    let mut aside = Aside::new(&layout.records_tmp())?;
    aside.write(&text)?;
    aside.publish(&path, ORDINARY)
}

/// Marks a record as used now. Somebody else's cache may not allow that; then its age counts from its writing.
pub(crate) fn touch(path: &Path) {
    if let Err(error) = File::open(path).and_then(|file| file.set_modified(SystemTime::now())) {
        tracing::debug!(path = %path.display(), %error, "the time of use was not noted");
    }
}

/// JSON has no NaN and no infinities, and a diverged loss is a result like any other: those become strings.
mod numbers {
    use indexmap::IndexMap;
    use serde::ser::SerializeMap;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Finite(f64),
        Named(String),
    }

    pub fn serialize<S: Serializer>(numbers: &IndexMap<String, f64>, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(numbers.len()))?;
        for (name, number) in numbers {
            if number.is_finite() {
                map.serialize_entry(name, number)?;
            } else {
                map.serialize_entry(name, &number.to_string())?;
            }
        }
        map.end()
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<IndexMap<String, f64>, D::Error> {
        let numbers = IndexMap::<String, Number>::deserialize(deserializer)?;
        let parse = |(name, number)| match number {
            Number::Finite(number) => Ok((name, number)),
            Number::Named(text) => text.parse().map(|number| (name, number)).map_err(D::Error::custom),
        };
        numbers.into_iter().map(parse).collect()
    }
}
