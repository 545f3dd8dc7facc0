//! The trained network that a student learns from: read from a model, asked for its logits, and named in what the
//! student leaves behind, so that a chain of teachers can be read off its end.

use crate::artifact::{Model, Prepared};
use crate::context::Inputs;
use crate::training::{Examples, TrainingSet, fits};
use anyhow::{Context as _, Result};
use ddpipe_nn::network::{Network, NetworkSpec, Parameters};
use ddpipe_nn::pieces::{Graph, Readable};
use serde_json::{Value, json};
use tch::{Kind, Tensor};

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
        let read = || -> Result<Self> {
            let file = inputs.tensors("teacher")?;
            let model = Model::from_file(&file)?;
            let spec: NetworkSpec = serde_json::from_value(model.network).context("its description")?;
            let network = Network::new(&spec)?;
            let tensors = model.tensors.into_iter().collect();
            let parameters = network.load(&tensors)?.detached();
            let trained = model.prepared.as_ref();
            Prepared::agree(trained, "the network of \"teacher\"", set.normalisation(), "the images of \"train\"")?;
            let taught_by = file.about[CHAIN].as_array().cloned().unwrap_or_default();
            Ok(Teacher { network, parameters, taught_by })
        };
        let teacher = read().context("input \"teacher\"")?;
        let spec = teacher.network.spec();
        let shape = [spec.channels, spec.image[0], spec.image[1]];
        fits((shape, spec.classes), (set.image_shape(), set.classes()), "train")
            .context("input \"teacher\" was trained on other images")?;
        Ok(teacher)
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

/// A network's logits \[N,K\] for all examples, in evaluation mode. `tick` is called now and then and may end it.
pub fn logits_of(
    network: &Network,
    parameters: &Parameters,
    examples: &dyn Examples,
    mut tick: impl FnMut() -> Result<()>,
) -> Result<Tensor> {
    let (count, device) = (examples.count(), examples.device());
    let mut parts = Vec::new();
    for start in (0..count).step_by(network.read_at_a_time() as usize) {
        let positions =
            Tensor::f_arange_start(start, (start + network.read_at_a_time()).min(count), (Kind::Int64, device))?;
        let images = examples.at(&positions)?.images;
        parts.push(network.forward_chunked(parameters, &images, network.chunk(device, Graph::Without))?);
        tick()?;
    }
    Ok(Tensor::f_cat(&parts, 0)?)
}
