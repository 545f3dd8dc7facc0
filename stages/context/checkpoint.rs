//! Checkpoints: what a loop needs to continue after an interruption with the same result, and their file format.
//! [`Context`](super::Context) decides when they are saved and read; a loop adds tensors and values by name and reads
//! them back by the same names.

use crate::artifact::{decode, encode};
use anyhow::{Context as _, Result};
use indexmap::IndexMap;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tch::{Device, Tensor};

/// The name of the checkpoint in a stage's scratch folder.
pub const CHECKPOINT: &str = "checkpoint.safetensors";

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

    /// The bytes of the checkpoint's file; `seconds` is the time that the stage has taken so far.
    pub(super) fn to_bytes(&self, seconds: f64) -> Result<Vec<u8>> {
        let about = json!({ "step": self.step, "seconds": seconds, "state": self.state });
        encode(&self.tensors, &json!({ "checkpoint": about }))?.to_vec()
    }

    /// Reads a checkpoint from the bytes of its file. Returns it and the seconds that the stage had taken when it was
    /// saved.
    pub(super) fn from_bytes(bytes: &[u8], device: Device) -> Result<(Self, f64)> {
        let (tensors, description) = decode(bytes, device)?;
        let about = &description["checkpoint"];
        let step = about["step"].as_u64().context("a checkpoint without a step")?;
        let seconds = about["seconds"].as_f64().context("a checkpoint without the seconds before it")?;
        Ok((Checkpoint { step, state: about["state"].clone(), tensors }, seconds))
    }
}
