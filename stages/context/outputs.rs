//! The outputs of a stage: artifacts by the names of its declaration, metrics, and the absent artifacts that it asks
//! for instead.

use crate::artifact::TensorFile;
use ddpipe_interface::ArtifactType;
use ddpipe_interface::protocol::Absent;
use indexmap::IndexMap;

/// One output artifact of a stage.
#[derive(Debug)]
pub enum Artifact {
    /// Named tensors; they stay on the device for the next stage.
    Tensors(TensorFile),
    /// A JSON document (`metrics`, `table`).
    Json(ArtifactType, serde_json::Value),
    /// Bytes (`image`, `files`).
    Bytes(ArtifactType, Vec<u8>),
    /// Bytes in a file of [`Context::temporary`](super::Context::temporary), for what is too large for memory.
    File(ArtifactType, std::fs::File),
}

/// The outputs of a stage, by the names of its declaration, and its metrics.
#[derive(Debug, Default)]
pub struct Outputs {
    /// The artifact of every declared output.
    pub artifacts: IndexMap<String, Artifact>,
    /// Metrics, which expectations and tables address as `node.name`.
    pub metrics: IndexMap<String, f64>,
    /// The positions of absent artifacts that the stage needs, by input. If there are any, artifacts and metrics are
    /// discarded, and the stage runs again with them present.
    pub asks: IndexMap<String, Vec<usize>>,
}

impl Outputs {
    /// Asks for an absent artifact of an on-demand input.
    pub fn ask(mut self, input: &str, absent: &Absent) -> Self {
        self.asks.entry(input.into()).or_default().push(absent.position);
        self
    }

    /// Adds an output of tensors.
    pub fn tensors(mut self, name: &str, file: TensorFile) -> Self {
        self.artifacts.insert(name.into(), Artifact::Tensors(file));
        self
    }

    /// Adds an output that is a JSON document.
    pub fn json(mut self, name: &str, artifact: ArtifactType, value: serde_json::Value) -> Self {
        self.artifacts.insert(name.into(), Artifact::Json(artifact, value));
        self
    }

    /// Adds an output of bytes.
    pub fn bytes(mut self, name: &str, artifact: ArtifactType, bytes: Vec<u8>) -> Self {
        self.artifacts.insert(name.into(), Artifact::Bytes(artifact, bytes));
        self
    }

    /// Adds an output whose bytes are in a file.
    pub fn file(mut self, name: &str, artifact: ArtifactType, file: std::fs::File) -> Self {
        self.artifacts.insert(name.into(), Artifact::File(artifact, file));
        self
    }

    /// Adds a metric.
    pub fn metric(mut self, name: &str, value: f64) -> Self {
        self.metrics.insert(name.into(), value);
        self
    }
}
