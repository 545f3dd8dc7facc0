//! What the hidden layers of a network put out, one by one: what a student is shown of its teacher besides the answers.

use super::{Network, Parameters};
use crate::network::forward::Mode;
use tch::{TchError, Tensor};

/// The outputs of hidden layers.
#[derive(Debug)]
pub struct Hidden {
    /// The layers' outputs, first layer first, \[B,C,H,W\] or \[B,D\]: of every activation outside a block, of every
    /// residual block or stage that [`Features::activations`](super::Features::activations) counts, and at the end the
    /// embedding \[B,D\].
    pub layers: Vec<Tensor>,
    /// The running statistics afterwards.
    pub buffers: Vec<Tensor>,
}

impl Network {
    /// How many hidden layers [`hidden`](Self::hidden) counts.
    pub fn hidden_count(&self) -> usize {
        self.features.iter().filter(|layer| layer.is_attention_tap()).count() + 1
    }

    /// The outputs of the hidden layers 0 to `last` for a batch \[B,C,H,W\]. What lies behind the last one is not
    /// computed, and its running statistics stay.
    pub fn hidden(
        &self,
        parameters: &Parameters,
        x_BCHW: &Tensor,
        mode: Mode,
        last: usize,
    ) -> Result<Hidden, TchError> {
        self.hidden_with_dropout(parameters, x_BCHW, mode, last, &mut [].as_slice())
    }

    /// [`hidden`](Self::hidden) with the factors of [`dropout`](Self::dropout), of which those that were not used are left.
    pub fn hidden_with_dropout(
        &self,
        parameters: &Parameters,
        x_BCHW: &Tensor,
        mode: Mode,
        last: usize,
        factors: &mut &[Tensor],
    ) -> Result<Hidden, TchError> {
        let mut buffers: Vec<Tensor> = parameters.buffers.iter().map(Tensor::shallow_clone).collect();
        let mut layers = Vec::new();
        let mut x = x_BCHW.shallow_clone();
        for layer in &self.features {
            x = self.layer_with_dropout(layer, parameters, &x, mode, &mut buffers, factors)?;
            if layer.is_attention_tap() {
                layers.push(x.shallow_clone());
                if layers.len() > last {
                    return Ok(Hidden { layers, buffers });
                }
            }
        }
        layers.push(x);
        Ok(Hidden { layers, buffers })
    }
}
