//! From stored pixels to what a network sees of a class, and back: decode, leave some out, normalise, augment. The same
//! augmentation acts on real and on synthetic images.

use crate::artifact::{Decoder, Normalisation};
use crate::distill::gradient_matching::MatchedGradient;
use crate::distill::idc::loss::Objective;
use ddpipe_nn::augment::{Operation, Settings, apply};
use ddpipe_nn::autograd::{leaf, pulled_back};
use ddpipe_nn::network::{Network, Parameters};
use tch::{TchError, Tensor};

/// How one class is shown in one step.
#[derive(Debug)]
pub struct View<'a> {
    /// How stored images hold several each.
    pub decoder: Decoder,
    /// Normalisation of pixels in \[0,1\].
    pub normalisation: &'a Normalisation,
    /// The decoded images that are shown, \[B\] int64; all without.
    pub chosen: Option<Tensor>,
    /// The augmentation of this step, shared by all images.
    pub operations: Vec<Operation>,
    /// Its strength.
    pub settings: Settings,
}

impl View<'_> {
    /// Normalised images under the augmentation.
    pub fn augmented(&self, normalised: &Tensor) -> Tensor {
        apply(normalised, &self.operations, &self.settings)
    }

    /// What is seen of stored pixels \[M,C,H,W\] of a class: \[B,C,H,W\], with the graph of the pixels.
    pub fn images(&self, pixels: &Tensor) -> Result<Tensor, TchError> {
        let decoded = self.shown(self.decoder.images(pixels)?)?;
        Ok(self.augmented(&self.normalisation.apply(&decoded)))
    }

    /// The labels of what is seen, from labels \[M\] or \[M,K\].
    pub fn labels(&self, labels: &Tensor) -> Result<Tensor, TchError> {
        self.shown(self.decoder.labels(labels)?)
    }

    /// Compares what is seen of the pixels with a target, and follows the comparison back to the pixels.
    pub fn matched(
        &self,
        objective: &Objective,
        (network, parameters): (&Network, &Parameters),
        target: &[Tensor],
        pixels: &Tensor,
        labels: &Tensor,
    ) -> Result<MatchedGradient, TchError> {
        let pixels = leaf(pixels)?;
        let seen = self.images(&pixels)?;
        let matched = objective.matched(network, parameters, target, &seen.detach(), &self.labels(labels)?)?;
        let gradient = pulled_back(&seen, &matched.gradient, &pixels)?;
        Ok(MatchedGradient { gradient, ..matched })
    }

    fn shown(&self, decoded: Tensor) -> Result<Tensor, TchError> {
        match &self.chosen {
            None => Ok(decoded),
            Some(chosen) => decoded.f_index_select(0, chosen),
        }
    }
}
