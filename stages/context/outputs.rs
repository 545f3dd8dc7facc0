//! What a stage made: artifacts by the names of its declaration, scalar results, and what it asks for instead.

use crate::artifact::TensorFile;
use ddpipe_interface::ArtifactType;
use ddpipe_interface::protocol::Absent;
use indexmap::IndexMap;

/// One thing that a stage made.
#[derive(Debug)]
pub enum Artifact {
    /// Named tensors; they stay on the device for the next stage.
    Tensors(TensorFile),
    /// A JSON document (`metrics`, `table`).
    Json(ArtifactType, serde_json::Value),
    /// Bytes as they are (`image`, `files`).
    Bytes(ArtifactType, Vec<u8>),
    /// The same in a file of [`Context::temporary`](super::Context::temporary): what is too large for memory.
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
