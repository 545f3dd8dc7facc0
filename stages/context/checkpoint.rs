//! What a loop needs to continue as if it had never stopped, and its file form. When it is saved and read is the context's
//! affair.

use crate::artifact::TensorFile;
use anyhow::{Context as _, Result};
use ddpipe_interface::ArtifactType;
use indexmap::IndexMap;
use tch::{Device, Tensor};

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
    pub(super) fn into_bytes(self) -> Result<Vec<u8>> {
        let about = serde_json::json!({ "step": self.step, "state": self.state });
        let file = TensorFile { artifact: ArtifactType::Model, tensors: self.tensors, about };
        file.to_bytes()
    }

    pub(super) fn from_bytes(bytes: &[u8], device: Device) -> Result<Self> {
        let file = TensorFile::from_bytes(bytes, device)?;
        let step = file.about["step"].as_u64().context("a checkpoint without a step")?;
        Ok(Checkpoint { step, state: file.about["state"].clone(), tensors: file.tensors })
    }

    /// The tensor of this name, or an error.
    pub fn get(&self, name: &str) -> Result<&Tensor> {
        self.tensors.get(name).with_context(|| format!("the checkpoint has no {name:?}"))
    }
}
