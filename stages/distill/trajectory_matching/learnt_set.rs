//! What trajectory matching optimises: the images of a synthetic set, the learning rate of its students, and, where
//! labels are learnt, their logits. Each has its own SGD with momentum.

use super::unrolling::{Gradients, Labels, Learnt};
use crate::artifact::{SyntheticSet, TensorFile};
use crate::context::Checkpoint;
use crate::distill::synthesis::Learnable;
use anyhow::Result;
use ddpipe_nn::transfer;
use tch::{Kind, Tensor};

/// Learning rate and momentum of one SGD.
#[derive(Clone, Copy, Debug)]
pub struct SgdSettings {
    /// Learning rate.
    pub lr: f64,
    /// Momentum; the velocity of the first step is the whole gradient.
    pub momentum: f64,
}

/// The optimisers of images, learning rate and labels.
#[derive(Clone, Copy, Debug)]
pub struct OptimiserSettings {
    /// The optimiser of the images.
    pub images: SgdSettings,
    /// The optimiser of the students' learning rate.
    pub lr: SgdSettings,
    /// The optimiser of the labels' logits.
    pub logits: SgdSettings,
    /// The largest loss of an iteration that changes anything; `None` for no limit.
    pub threshold: Option<f64>,
}

/// Images, learning rate and labels of a synthetic set between two iterations, with their optimisers.
pub struct LearntSet {
    images: Learnable,
    lr: Learnable,
    labels: LearntLabels,
}

/// The labels between two iterations.
enum LearntLabels {
    /// Labels that are not learnt: classes \[M\] int64 or probabilities \[M,K\].
    Fixed(Tensor),
    /// The logits \[M,K\] of learnt labels.
    Logits(Learnable),
}

impl LearntSet {
    /// The state before the first iteration, without velocities.
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

    /// Reads the state that [`store`](Self::store) wrote to a checkpoint; labels that are not learnt are those of
    /// `start`.
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

    /// The current images, labels and learning rate, without a graph; the tensors are shared, not copied.
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

    /// Takes one step of each optimiser against its gradient, where `kept` (a scalar bool) is true or there is none.
    pub fn step(&mut self, gradients: &Gradients, kept: Option<&Tensor>) -> Result<()> {
        self.images.step_where(&gradients.images_MCHW, kept)?;
        self.lr.step_where(&gradients.lr, kept)?;
        if let (LearntLabels::Logits(logits), Some(gradient)) = (&mut self.labels, &gradients.logits_MK) {
            logits.step_where(gradient, kept)?;
        }
        Ok(())
    }

    /// Adds images, learning rate and learnt logits, with their velocities, to a checkpoint.
    pub fn store(&self, checkpoint: &mut Checkpoint) {
        self.images.store("images", checkpoint);
        self.lr.store("lr", checkpoint);
        if let LearntLabels::Logits(logits) = &self.labels {
            logits.store("logits", checkpoint);
        }
    }

    /// The synthetic set with its learnt learning rate. Learnt labels are the softmax of their logits.
    pub fn set(&self, start: &SyntheticSet) -> Result<SyntheticSet> {
        Ok(SyntheticSet {
            images: self.images().to_kind(Kind::Float),
            labels: match &self.labels {
                LearntLabels::Fixed(labels) => labels.shallow_clone(),
                LearntLabels::Logits(logits) => logits.value.f_softmax(1, Kind::Float)?,
            },
            normalisation: start.normalisation.clone(),
            origin: start.origin.clone(),
            class_names: start.class_names.clone(),
            lr: Some(transfer::number(self.lr())?),
            targets: false,
            ..*start
        })
    }

    /// The file of the set; where labels are learnt, with their logits as the tensor `label_logits`.
    pub fn to_file(&self, set: &SyntheticSet) -> TensorFile {
        match &self.labels {
            LearntLabels::Fixed(_) => set.to_file(),
            LearntLabels::Logits(logits) => set.to_file().with("label_logits", logits.value.shallow_clone()),
        }
    }
}
