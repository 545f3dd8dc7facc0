//! What trajectory matching optimises: the images of a synthetic set, the learning rate of its students, and, where they
//! are learnt, the logits of its labels. Each has its own SGD with momentum.

use super::unrolling::{Gradients, Labels, Learnt};
use crate::artifact::{SyntheticSet, TensorFile};
use crate::context::Checkpoint;
use crate::distill::synthesis::Learnable;
use anyhow::Result;
use tch::{Kind, Tensor};

/// Learning rate and momentum of one of them.
#[derive(Clone, Copy, Debug)]
pub struct SgdSettings {
    /// Learning rate.
    pub lr: f64,
    /// Momentum; the first step takes the gradient whole.
    pub momentum: f64,
}

/// How all of them are optimised.
#[derive(Clone, Copy, Debug)]
pub struct OptimiserSettings {
    /// The optimiser of the images.
    pub images: SgdSettings,
    /// The optimiser of the students' learning rate.
    pub lr: SgdSettings,
    /// The optimiser of the labels' logits.
    pub logits: SgdSettings,
    /// An iteration with a larger loss changes nothing.
    pub threshold: Option<f64>,
}

/// A synthetic set between two iterations.
pub struct LearntSet {
    images: Learnable,
    lr: Learnable,
    labels: LearntLabels,
}

/// The labels between two iterations.
enum LearntLabels {
    /// \[M\] int64 or \[M,K\]; they stay.
    Fixed(Tensor),
    /// \[M,K\].
    Logits(Learnable),
}

impl LearntSet {
    /// Before the first iteration.
    pub fn new(initial: Learnt, settings: OptimiserSettings) -> Self {
        let learnable = |value, SgdSettings { lr, momentum }| Learnable::new(value, lr, momentum);
        LearntSet {
            images: learnable(initial.images_MCHW, settings.images),
            lr: learnable(initial.lr, settings.lr),
            labels: match initial.labels {
                Labels::Fixed(labels) => LearntLabels::Fixed(labels),
                Labels::Logits(logits) => LearntLabels::Logits(learnable(logits, settings.logits)),
            },
        }
    }

    /// As [`store`](Self::store) put it away; labels that are not learnt are those of `start`.
    pub fn restore(checkpoint: &Checkpoint, start: &SyntheticSet, settings: OptimiserSettings) -> Result<Self> {
        let restored = |name, SgdSettings { lr, momentum }| Learnable::restore(name, checkpoint, lr, momentum);
        Ok(LearntSet {
            images: restored("images", settings.images)?,
            lr: restored("lr", settings.lr)?,
            labels: match checkpoint.tensors.contains_key("logits") {
                true => LearntLabels::Logits(restored("logits", settings.logits)?),
                false => LearntLabels::Fixed(start.labels.shallow_clone()),
            },
        })
    }

    /// Images, labels and learning rate as they are, without a graph; tensors are shared.
    pub fn learnt(&self) -> Learnt {
        let labels = match &self.labels {
            LearntLabels::Fixed(labels) => Labels::Fixed(labels.shallow_clone()),
            LearntLabels::Logits(logits) => Labels::Logits(logits.value.shallow_clone()),
        };
        Learnt { images_MCHW: self.images().shallow_clone(), labels, lr: self.lr().shallow_clone() }
    }

    /// The images \[M,C,H,W\].
    pub fn images(&self) -> &Tensor {
        &self.images.value
    }

    /// The students' learning rate, a scalar.
    pub fn lr(&self) -> &Tensor {
        &self.lr.value
    }

    /// One step of each against its gradient.
    pub fn step(&mut self, gradients: &Gradients) -> Result<()> {
        self.images.step(&gradients.images_MCHW)?;
        self.lr.step(&gradients.lr)?;
        if let (LearntLabels::Logits(logits), Some(gradient)) = (&mut self.labels, &gradients.logits_MK) {
            logits.step(gradient)?;
        }
        Ok(())
    }

    /// Adds all of it to a checkpoint.
    pub fn store(&self, checkpoint: &mut Checkpoint) {
        self.images.store("images", checkpoint);
        self.lr.store("lr", checkpoint);
        if let LearntLabels::Logits(logits) = &self.labels {
            logits.store("logits", checkpoint);
        }
    }

    /// The set, with the learning rate; where labels are learnt, the softmax of the logits.
    pub fn set(&self, start: &SyntheticSet) -> Result<SyntheticSet> {
        Ok(SyntheticSet {
            images: self.images().to_kind(Kind::Float),
            labels: match &self.labels {
                LearntLabels::Fixed(labels) => labels.shallow_clone(),
                LearntLabels::Logits(logits) => logits.value.f_softmax(1, Kind::Float)?,
            },
            normalisation: start.normalisation.clone(),
            origin: start.origin.clone(),
            lr: Some(f64::try_from(self.lr())?),
            targets: false,
            ..*start
        })
    }

    /// The file form of the set, with the logits beside the labels that they stand for.
    pub fn to_file(&self, set: &SyntheticSet) -> TensorFile {
        match &self.labels {
            LearntLabels::Fixed(_) => set.to_file(),
            LearntLabels::Logits(logits) => set.to_file().with("label_logits", logits.value.shallow_clone()),
        }
    }
}
