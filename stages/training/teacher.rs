//! A trained network that is asked what it makes of images: as a teacher, or for the features that images are compared by.

use super::{Examples, TrainingSet, fits};
use crate::artifact::{Dataset, Model, Normalisation, Prepared, SyntheticSet};
use crate::context::Inputs;
use anyhow::{Context as _, Result};
use ddpipe_nn::network::{Network, NetworkSpec, Parameters};
use ddpipe_nn::pieces::{Graph, Readable};
use tch::{Kind, TchError, Tensor};

/// A trained network.
#[derive(Debug)]
pub struct Teacher {
    /// Its layers.
    pub network: Network,
    /// Its weights, without a graph.
    pub parameters: Parameters,
}

// SAFETY: its parameters are tensors, the rest are plain values.
unsafe impl Readable for Teacher {}

/// The images that a network is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The input that they come from.
    pub input: &'a str,
    /// Channels, height and width.
    pub shape: [i64; 3],
    /// Number of classes.
    pub classes: i64,
    /// How they are prepared.
    pub normalisation: &'a Normalisation,
}

impl<'a> Asked<'a> {
    /// The images of a set.
    pub fn of(input: &'a str, set: &'a TrainingSet) -> Self {
        let (shape, classes, normalisation) = (set.image_shape(), set.classes(), set.normalisation());
        Asked { input, shape, classes, normalisation }
    }

    /// Real images.
    pub fn real(input: &'a str, set: &'a Dataset) -> Self {
        Asked { input, shape: set.image_shape(), classes: set.classes, normalisation: &set.normalisation }
    }

    /// Synthetic images.
    pub fn synthetic(input: &'a str, set: &'a SyntheticSet) -> Self {
        let size = set.images.size();
        let shape = [size[1], size[2], size[3]];
        Asked { input, shape, classes: set.classes, normalisation: &set.normalisation }
    }
}

impl Teacher {
    /// The network of an input of type model. An error that names both if it was trained on images of another shape, number
    /// of classes, normalisation or whitening than those it is asked about.
    pub fn of(inputs: &Inputs, input: &str, asked: Asked) -> Result<Self> {
        let whose = format!("the network of {input:?}");
        let model = Model::from_file(&*inputs.tensors(input)?).with_context(|| format!("input {input:?}"))?;
        let spec: NetworkSpec =
            serde_json::from_value(model.network).with_context(|| format!("input {input:?}: its description"))?;
        let shape = [spec.channels, spec.image[0], spec.image[1]];
        fits((shape, spec.classes), (asked.shape, asked.classes), asked.input).with_context(|| whose.clone())?;
        let images = format!("the images of {:?}", asked.input);
        Prepared::agree(model.prepared.as_ref(), &whose, asked.normalisation, &images)?;
        let network = Network::new(&spec)?;
        let tensors = model.tensors.into_iter().collect();
        let parameters = network.load(&tensors).with_context(|| format!("input {input:?}"))?.detached();
        Ok(Teacher { network, parameters })
    }

    /// Its logits \[B,K\] for images, in evaluation mode.
    pub fn logits(&self, images: &Tensor) -> Result<Tensor, TchError> {
        self.network.forward_chunked(&self.parameters, images, self.network.chunk(images.device(), Graph::Without))
    }

    /// Its logits \[N,K\] for all examples. `tick` is called now and then and may end it.
    pub fn logits_of(&self, examples: &dyn Examples, tick: impl FnMut() -> Result<()>) -> Result<Tensor> {
        logits_of(&self.network, &self.parameters, examples, tick)
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
