//! The parameters of one trained network, with the description from which the network can be built again.

use super::{Prepared, TensorFile};
use anyhow::{Context as _, Result, ensure};
use ddpipe_interface::ArtifactType;
use indexmap::IndexMap;
use serde_json::{Value, json};
use tch::Tensor;

/// The key of [`Model::prepared`] in a description.
const PREPARED: &str = "images";

/// A trained network: its description for `ddpipe_nn::network`, and its named tensors.
#[derive(Debug)]
pub struct Model {
    /// The network's description, as `NetworkSpec` writes it.
    pub network: Value,
    /// How the images were prepared that it was trained on; not known of models of earlier versions.
    pub prepared: Option<Prepared>,
    /// Parameters and running statistics by name.
    pub tensors: IndexMap<String, Tensor>,
}

impl Model {
    /// Reads a model from its file. Tensors are shared, not copied. An error if the file is of another type.
    pub fn from_file(file: &TensorFile) -> Result<Self> {
        ensure!(file.artifact == ArtifactType::Model, "expected a model, found a {}", file.artifact);
        let tensors = file.tensors.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect();
        let prepared = match file.about.get(PREPARED) {
            Some(prepared) => Some(serde_json::from_value(prepared.clone()).context("the model's description")?),
            None => None,
        };
        Ok(Model { network: file.about["network"].clone(), prepared, tensors })
    }

    /// The file of the model. Tensors are shared, not copied.
    pub fn to_file(&self) -> TensorFile {
        let mut about = json!({ "network": self.network });
        if let Some(prepared) = &self.prepared {
            about[PREPARED] = json!(prepared);
        }
        let mut file = TensorFile::new(ArtifactType::Model, about);
        file.tensors = self.tensors.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect();
        file
    }
}
