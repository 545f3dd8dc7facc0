//! The types of the graph's edges. A connection between two different types is an error of the manifest.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What an artifact is. The type is stored in the artifact's own header too, so that a file explains itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ArtifactType {
    /// Real images and their labels (safetensors: `images` \[N,C,H,W\], `labels` \[N\]).
    Dataset,
    /// A synthetic set (safetensors: `images` \[M,C,H,W\] float, `labels` \[M\] or soft \[M,K\]), class-major.
    Synthetic,
    /// The parameters of one trained network (safetensors, one entry per named parameter).
    Model,
    /// Expert trajectories (safetensors, flat parameters per epoch).
    Trajectories,
    /// One score per image (safetensors).
    Scores,
    /// Numbers and series (JSON).
    Metrics,
    /// Rows, columns and cells (JSON).
    Table,
    /// A picture (PNG or SVG).
    Image,
    /// Raw bytes of one file that came from outside or goes outside.
    Files,
    /// A folder of files that came from outside; no stage makes one.
    Folder,
}

impl ArtifactType {
    /// Every type, in the order of the reference manual.
    pub const ALL: [ArtifactType; 10] = [
        ArtifactType::Dataset,
        ArtifactType::Synthetic,
        ArtifactType::Model,
        ArtifactType::Trajectories,
        ArtifactType::Scores,
        ArtifactType::Metrics,
        ArtifactType::Table,
        ArtifactType::Image,
        ArtifactType::Files,
        ArtifactType::Folder,
    ];

    /// The name used in manifests, declarations and headers.
    pub fn name(self) -> &'static str {
        match self {
            ArtifactType::Dataset => "dataset",
            ArtifactType::Synthetic => "synthetic",
            ArtifactType::Model => "model",
            ArtifactType::Trajectories => "trajectories",
            ArtifactType::Scores => "scores",
            ArtifactType::Metrics => "metrics",
            ArtifactType::Table => "table",
            ArtifactType::Image => "image",
            ArtifactType::Files => "files",
            ArtifactType::Folder => "folder",
        }
    }
}

impl fmt::Display for ArtifactType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
