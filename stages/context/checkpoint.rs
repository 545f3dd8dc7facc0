//! Checkpoints: what a loop needs to continue after an interruption with the same result, and their file format.
//! [`Context`](super::Context) decides when they are saved and read; a loop adds tensors and values by name and reads
//! them back by the same names.

use crate::artifact::{decode, encode};
use anyhow::{Context as _, Result, ensure};
use ddpipe_cache::Digest;
use indexmap::IndexMap;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tch::{Device, Tensor};

/// The name of the checkpoint in a stage's scratch folder.
pub const CHECKPOINT: &str = ddpipe_interface::checkpoint::FILE;

/// What a checkpoint belongs to. One that belongs to something else is not continued.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The key of the action, 64 hexadecimal digits.
    pub key: String,
    /// The version of the stage kind.
    pub version: u32,
    /// What decides the bits beside the key, as text.
    pub numerics: String,
}

/// The first line of a checkpoint's file: this, BLAKE3 of all that follows in hexadecimal digits, and a line feed.
const MAGIC: &str = ddpipe_interface::checkpoint::MAGIC;

/// All that a loop needs to continue after an interruption with the same result.
pub struct Checkpoint {
    /// The number of steps done.
    pub step: u64,
    /// Tensors by name, stored exactly.
    pub tensors: IndexMap<String, Tensor>,
    /// All other values, as a JSON object; numbers are stored exactly.
    pub state: Value,
}

impl Checkpoint {
    /// An empty checkpoint after this many steps.
    pub fn new(step: u64) -> Self {
        Checkpoint { step, tensors: IndexMap::new(), state: json!({}) }
    }

    /// Adds a tensor. It is shared, not copied, so it must not be changed in place afterwards.
    pub fn put(&mut self, name: impl Into<String>, tensor: &Tensor) {
        self.tensors.insert(name.into(), tensor.shallow_clone());
    }

    /// Adds a value under this name.
    pub fn note(&mut self, name: &str, value: impl Serialize) {
        self.state[name] = json!(value);
    }

    /// The tensor of this name, or an error.
    pub fn get(&self, name: &str) -> Result<&Tensor> {
        self.tensors.get(name).with_context(|| format!("the checkpoint has no {name:?}"))
    }

    /// The value of this name, or an error where it is missing or of another type.
    pub fn noted<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        serde_json::from_value(self.state[name].clone()).with_context(|| format!("the checkpoint's {name:?}"))
    }

    /// The tensors whose names begin with `prefix`, by their names without it.
    pub fn below(&self, prefix: &str) -> BTreeMap<String, Tensor> {
        let rest =
            |(name, tensor): (&String, &Tensor)| Some((name.strip_prefix(prefix)?.into(), tensor.shallow_clone()));
        self.tensors.iter().filter_map(rest).collect()
    }

    /// The bytes of the checkpoint's file: a line with the digest of the rest, and a safetensors file. `seconds` is the
    /// time that the stage has taken so far.
    pub(super) fn to_bytes(&self, origin: &Origin, seconds: f64) -> Result<Vec<u8>> {
        let about = json!({ "origin": origin, "step": self.step, "seconds": seconds, "state": self.state });
        let content = encode(&self.tensors, &json!({ "checkpoint": about }))?.to_vec()?;
        let mut bytes = format!("{MAGIC}{}\n", Digest::of(&content)).into_bytes();
        bytes.extend_from_slice(&content);
        Ok(bytes)
    }

    /// Reads a checkpoint from the bytes of its file. Returns it and the seconds that the stage had taken when it was
    /// saved. An error if the file is damaged, or if the checkpoint is of another action, version or numerics.
    pub(super) fn from_bytes(bytes: &[u8], origin: &Origin, device: Device) -> Result<(Self, f64)> {
        let line =
            bytes.iter().position(|byte| *byte == b'\n').context("it is no checkpoint of this version of ddpipe")?;
        let (line, content) = (&bytes[..line], &bytes[line + 1..]);
        let stated = std::str::from_utf8(line).ok().and_then(|line| line.strip_prefix(MAGIC));
        let stated = stated.context("it is no checkpoint of this version of ddpipe")?;
        ensure!(stated == Digest::of(content).hex(), "it is damaged");
        let (tensors, description) = decode(content, device)?;
        let about = &description["checkpoint"];
        let found: Origin =
            serde_json::from_value(about["origin"].clone()).context("a checkpoint without its origin")?;
        ensure!(found.key == origin.key, "it is of another action");
        ensure!(
            found.version == origin.version,
            "it is of version {} of the kind, not {}",
            found.version,
            origin.version
        );
        ensure!(
            found.numerics == origin.numerics,
            "it was computed with {:?}, and this run computes with {:?}",
            found.numerics,
            origin.numerics
        );
        let step = about["step"].as_u64().context("a checkpoint without a step")?;
        let seconds = about["seconds"].as_f64().context("a checkpoint without the seconds before it")?;
        Ok((Checkpoint { step, state: about["state"].clone(), tensors }, seconds))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn origin() -> Origin {
        Origin { key: "ab".repeat(32), version: 2, numerics: "libtorch 2.11".into() }
    }

    fn saved() -> Vec<u8> {
        let mut checkpoint = Checkpoint::new(7);
        checkpoint.put("images", &Tensor::arange(6, (tch::Kind::Float, Device::Cpu)));
        checkpoint.note("losses", [0.5, 0.25]);
        checkpoint.to_bytes(&origin(), 12.5).unwrap()
    }

    fn refused(bytes: &[u8], origin: &Origin) -> Option<String> {
        Checkpoint::from_bytes(bytes, origin, Device::Cpu).err().map(|error| error.to_string())
    }

    #[test]
    fn a_checkpoint_is_read_as_it_was_saved() {
        let (read, seconds) = Checkpoint::from_bytes(&saved(), &origin(), Device::Cpu).unwrap();
        assert_eq!((read.step, seconds), (7, 12.5));
        assert_eq!(*read.get("images").unwrap(), Tensor::arange(6, (tch::Kind::Float, Device::Cpu)));
        assert_eq!(read.noted::<Vec<f64>>("losses").unwrap(), [0.5, 0.25]);
    }

    #[test]
    fn no_flipped_bit_and_no_missing_byte_of_a_checkpoint_is_believed() {
        let whole = saved();
        for place in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[place] ^= 1 << (place % 8);
            assert!(refused(&bytes, &origin()).is_some(), "byte {place} of {}", whole.len());
        }
        (0..whole.len()).for_each(|length| assert!(refused(&whole[..length], &origin()).is_some(), "{length} bytes"));
    }

    #[test]
    fn a_checkpoint_of_something_else_is_not_continued() {
        let other = |change: fn(&mut Origin)| {
            let mut origin = origin();
            change(&mut origin);
            refused(&saved(), &origin).unwrap()
        };
        assert!(other(|origin| origin.key = "cd".repeat(32)).contains("another action"));
        assert!(other(|origin| origin.version = 3).contains("version 2 of the kind, not 3"));
        assert!(other(|origin| origin.numerics = "libtorch 2.12".into()).contains("libtorch 2.11"));
    }
}
