//! Parameters that are held constant while others are trained. Which they are is part of the network, because batch norms
//! compute otherwise then; who chooses them, and by what names, is not known here.

use super::{Mode, Network, ParameterKind, Parameters};
use tch::Tensor;

impl Network {
    /// The same network with these trainable parameters as constants, one entry for each in the order of
    /// [`Network::trainable`]; entries that are missing are not constant. A batch norm whose weight and bias are both
    /// constant uses its running statistics in training too, and leaves them as they are, as in Keras.
    pub fn freeze(&self, frozen: &[bool]) -> Network {
        let mut network = self.clone();
        network.frozen = frozen.to_vec();
        network
    }

    /// Whether the trainable parameter at this place is a constant.
    pub fn is_frozen(&self, place: usize) -> bool {
        self.frozen.get(place).copied().unwrap_or(false)
    }

    /// Whether the outputs of one image depend on the others of its batch when training.
    pub fn has_batch_statistics(&self) -> bool {
        let mut trainable = 0;
        self.parameters().iter().any(|spec| match spec.kind {
            // Its weight and bias are the two before it.
            ParameterKind::RunningMean => self.norm_mode(trainable - 2, Mode::Train) == Mode::Train,
            ParameterKind::RunningVar => false,
            _ => {
                trainable += 1;
                false
            }
        })
    }

    /// The values as leaves of a new graph, with gradients for those that are not constant.
    pub fn tracked(&self, parameters: &Parameters) -> Parameters {
        let leaf = |(place, tensor): (usize, &Tensor)| tensor.detach().set_requires_grad(!self.is_frozen(place));
        let trainable = parameters.trainable.iter().enumerate().map(leaf).collect();
        Parameters { trainable, buffers: parameters.detached().buffers }
    }

    /// In which mode a norm with its weight at `at` and its bias after it works when the network is in `mode`.
    pub(super) fn norm_mode(&self, at: usize, mode: Mode) -> Mode {
        if self.is_frozen(at) && self.is_frozen(at + 1) { Mode::Eval } else { mode }
    }
}
