//! The features by which images are compared: the pixels themselves, or their embeddings by a network.

use crate::artifact::Dataset;
use crate::context::{Context, Inputs};
use crate::training::{Asked, Teacher};
use anyhow::Result;
use ddpipe_nn::network::{Mode, Network, Parameters};
use ddpipe_nn::pieces::Graph;
use ddpipe_nn::precision::Precision;
use tch::Tensor;

/// The number of images that are embedded at a time; the network divides them into chunks.
const BATCH: usize = 1024;

/// How an image becomes a row of features.
pub(super) enum Embedding {
    /// The normalised pixels.
    Pixels,
    /// The input of the network's last linear layer, computed in a precision.
    Network(Box<Network>, Parameters, Precision),
}

impl Embedding {
    /// The trained network of the input `model`. An error if it is not for images of this shape and number of classes.
    pub fn trained(inputs: &Inputs, real: &Dataset, precision: Precision) -> Result<Self> {
        let Teacher { network, parameters } = Teacher::of(inputs, "model", Asked::real("real", real))?;
        Ok(Embedding::Network(Box::new(network), parameters, precision))
    }

    /// \[n,D\] float32, the features of the images at these positions, on the images' device. `tick` is called after
    /// each batch with its number of images.
    pub fn of(&self, ctx: &Context, real: &Dataset, positions: &[i64], tick: &mut dyn FnMut(usize)) -> Result<Tensor> {
        let mut rows = Vec::new();
        for batch in positions.chunks(BATCH) {
            ctx.check()?;
            let images = real.floats_at(&Tensor::f_from_slice(batch)?);
            rows.push(match self {
                Embedding::Pixels => images.f_flatten(1, -1)?,
                Embedding::Network(network, parameters, precision) => {
                    let chunk = network.chunk(ctx.device, Graph::Without);
                    precision.pass(parameters, |rounded| network.embed_chunked(rounded, &images, Mode::Eval, chunk))?
                }
            });
            tick(batch.len());
        }
        Ok(Tensor::f_cat(&rows, 0)?)
    }
}
