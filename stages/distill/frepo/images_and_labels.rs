//! The synthetic images and labels as FRePo optimises them: one optimiser for both, with a falling rate.

use super::loss::Regressed;
use crate::artifact::SyntheticSet;
use crate::context::Checkpoint;
use anyhow::Result;
use ddpipe_nn::optim::{Moments, Optimiser, cosine};
use tch::Tensor;

/// The share of the rate that is left at the end.
const LEFT: f64 = 0.1;

/// How images and labels are optimised.
#[derive(Clone, Copy, Debug)]
pub struct OptimiserSettings {
    /// Number of steps.
    pub iterations: u64,
    /// The optimiser of both.
    pub optimiser: Optimiser,
    /// Learning rate at the start; it falls as a cosine to a tenth.
    pub rate: f64,
    /// Whether the labels are learnt.
    pub learn_labels: bool,
}

/// Images and labels between two steps, without a graph.
pub struct ImagesAndLabels {
    /// Images \[M,C,H,W\] and labels \[M,K\], float32.
    values: [Tensor; 2],
    moments: Moments,
    settings: OptimiserSettings,
}

impl ImagesAndLabels {
    /// The images of a set and these labels \[M,K\].
    pub fn new(start: &SyntheticSet, labels: Tensor, settings: OptimiserSettings) -> Self {
        ImagesAndLabels { values: [start.images.copy(), labels], moments: Moments::default(), settings }
    }

    /// Those of a checkpoint.
    pub fn restore(checkpoint: &Checkpoint, settings: OptimiserSettings) -> Result<Self> {
        let take = |name: &str| checkpoint.get(name).map(Tensor::shallow_clone);
        let values = [take("images")?, take("labels")?];
        let optimised = settings.optimised();
        let moments =
            |which: &str| (0..optimised).map(|index| take(&format!("{which}.{index}"))).collect::<Result<Vec<_>>>();
        let moments = Moments { first: moments("first")?, second: moments("second")?, steps: checkpoint.step };
        Ok(ImagesAndLabels { values, moments, settings })
    }

    /// The images, \[M,C,H,W\].
    pub fn images(&self) -> &Tensor {
        &self.values[0]
    }

    /// The labels, \[M,K\].
    pub fn labels(&self) -> &Tensor {
        &self.values[1]
    }

    /// Step number `step` against the gradients of an iteration.
    pub fn step(&mut self, step: u64, regressed: &Regressed) -> Result<()> {
        let OptimiserSettings { iterations, optimiser, rate, .. } = self.settings;
        let rate = rate * LEFT + cosine(rate * (1.0 - LEFT), iterations, step);
        let gradients = [regressed.images_MCHW.shallow_clone(), regressed.labels_MK.shallow_clone()];
        let optimised = self.settings.optimised();
        let stepped = optimiser.step(rate, &self.values[..optimised], &gradients[..optimised], &mut self.moments)?;
        for (place, tensor) in self.values.iter_mut().zip(stepped) {
            *place = tensor;
        }
        Ok(())
    }

    /// Adds them to a checkpoint.
    pub fn store(&self, checkpoint: &mut Checkpoint) {
        for (name, tensor) in ["images", "labels"].into_iter().zip(&self.values) {
            checkpoint.put(name, tensor);
        }
        for (which, moments) in [("first", &self.moments.first), ("second", &self.moments.second)] {
            for (index, tensor) in moments.iter().enumerate() {
                checkpoint.put(format!("{which}.{index}"), tensor);
            }
        }
    }

    /// The set with these images, and these labels as regression targets.
    pub fn into_set(self, start: &SyntheticSet) -> SyntheticSet {
        let [images, labels] = self.values;
        SyntheticSet { labels, targets: true, ..start.with_images(images) }
    }
}

impl OptimiserSettings {
    /// How many of the two are optimised: the images, and the labels where they are learnt.
    fn optimised(&self) -> usize {
        if self.learn_labels { 2 } else { 1 }
    }
}
