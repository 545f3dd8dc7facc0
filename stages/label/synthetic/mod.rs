//! Labels a synthetic set anew: softly, by what a trained network says of each image, or with the class at whose place
//! the image stands. The images stay as they are; training on either is the business of other kinds.

use crate::artifact::{Model, Prepared, SyntheticSet};
use crate::context::{Context, Inputs, Outputs};
use crate::training::fits;
use anyhow::{Context as _, Result, ensure};
use ddpipe_nn::network::{Network, NetworkSpec};
use ddpipe_nn::pieces::Graph;
use serde::Deserialize;
use tch::{Kind, Tensor};

/// The labels that the set gets.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    labels: Labels,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Labels {
    Soft,
    Hard,
}

/// Labels the set.
pub fn run(ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    let set = inputs.synthetic("synthetic")?;
    let labels = match params.labels {
        Labels::Soft => soft(ctx, inputs, &set)?,
        Labels::Hard => hard(&set)?,
    };
    Ok(Outputs::default().tensors("synthetic", SyntheticSet { labels, targets: false, ..set }.to_file()))
}

/// \[M,K\] float32: the teacher's softmax, in evaluation mode.
fn soft(ctx: &Context, inputs: &Inputs, set: &SyntheticSet) -> Result<Tensor> {
    ensure!(inputs.has("model"), "soft labels come from a teacher; connect input \"model\", or set labels = \"hard\"");
    let model = Model::from_file(&*inputs.tensors("model")?).context("input \"model\"")?;
    let spec: NetworkSpec = serde_json::from_value(model.network).context("input \"model\": its description")?;
    let size = set.images.size();
    let shape = [spec.channels, spec.image[0], spec.image[1]];
    fits((shape, spec.classes), ([size[1], size[2], size[3]], set.classes), "synthetic")
        .context("the network of \"model\"")?;
    let trained = model.prepared.as_ref();
    Prepared::agree(trained, "the network of \"model\"", &set.normalisation, "the images of \"synthetic\"")?;
    let network = Network::new(&spec)?;
    let parameters = network.load(&model.tensors.into_iter().collect()).context("input \"model\"")?;
    let logits = network.forward_chunked(&parameters, &set.images, network.chunk(ctx.device, Graph::Without))?;
    Ok(logits.f_softmax(1, Kind::Float)?)
}

/// \[M\] int64: 0 ipc times, 1 ipc times, and so on.
fn hard(set: &SyntheticSet) -> Result<Tensor> {
    let count = set.images.size()[0];
    ensure!(
        count == set.classes * set.ipc,
        "{count} images are not {} of each of {} classes, so their places do not say their class",
        set.ipc,
        set.classes
    );
    let classes = Tensor::f_arange(set.classes, (Kind::Int64, set.images.device()))?;
    Ok(classes.f_repeat_interleave_self_int(set.ipc, 0, None)?)
}
