//! The trained network that a student learns from: read from a model, asked for its logits, and named in what the
//! student leaves behind, so that a chain of teachers can be read off its end.

use crate::context::Inputs;
use crate::training::{self, Asked, TrainingSet};
use anyhow::Result;
use ddpipe_nn::network::{Network, Parameters};
use ddpipe_nn::pieces::{Graph, Readable};
use serde_json::{Value, json};
use tch::Tensor;

/// The key of the chain in a model's description and in the document of metrics.
pub const CHAIN: &str = "teachers";

/// A trained network.
#[derive(Debug)]
pub struct Teacher {
    /// Its layers.
    pub network: Network,
    /// Its weights, without a graph.
    pub parameters: Parameters,
    /// Those who taught it, first one first.
    taught_by: Vec<Value>,
}

// SAFETY: its parameters are tensors, the rest are plain values.
unsafe impl Readable for Teacher {}

impl Teacher {
    /// The network of input `teacher`, which has to take the images of the set and know its classes.
    pub fn of(inputs: &Inputs, set: &TrainingSet) -> Result<Self> {
        let training::Teacher { network, parameters } =
            training::Teacher::of(inputs, "teacher", Asked::of("train", set))?;
        let taught_by = inputs.tensors("teacher")?.about[CHAIN].as_array().cloned().unwrap_or_default();
        Ok(Teacher { network, parameters, taught_by })
    }

    /// All teachers up to this one, as its student's records tell them; the first was taught by nobody.
    pub fn chain(&self) -> Vec<Value> {
        let own = json!({ "network": self.network.spec(), "parameters": self.network.parameter_count() });
        self.taught_by.iter().cloned().chain([own]).collect()
    }

    /// Its logits \[B,K\] for images, in evaluation mode.
    pub fn logits(&self, images: &Tensor) -> Result<Tensor, tch::TchError> {
        self.network.forward_chunked(&self.parameters, images, self.network.chunk(images.device(), Graph::Without))
    }
}
