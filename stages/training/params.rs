//! The parameters that training stages share, as `stage.toml` declares them, and the settings that follow from them.

use super::{Objective, Settings, TrainingSet};
use anyhow::{Context as _, Result, bail, ensure};
use ddpipe_nn::augment::{Augment, Augmentation, Mixing, Strategy};
use ddpipe_nn::network::Network;
use ddpipe_nn::optim::{Average, AverageStart, Betas, Course, Decayed, Descent, Pace, Rule, Schedule, WarmUp};
use serde::{Deserialize, Serialize};

/// How a network is trained. Part of a kind's `Params`, by `#[serde(flatten)]`.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "each is the parameter of the same name in stage.toml, which has the help")]
pub struct TrainingParams {
    pub epochs: u64,
    pub batch_size: i64,
    pub lr: f64,
    pub optimiser: Optimiser,
    pub momentum: f64,
    pub nesterov: bool,
    pub beta1: f64,
    pub beta2: f64,
    pub eps: f64,
    pub weight_decay: f64,
    pub decayed: Decayed,
    pub schedule: Schedule,
    pub rate_by: Pace,
    pub lr_end: f64,
    pub warmup_steps: u64,
    pub warmup_epochs: u64,
    pub milestones: Vec<f64>,
    pub drop: f64,
    pub ema: f64,
    pub ema_start: AverageStart,
    pub norm_passes: u64,
    pub mixup: f64,
    pub cutmix: f64,
    pub mix_share: f64,
    pub label_smoothing: f64,
    pub dropout: f64,
    pub augment: Augmentation,
    pub strategy: Strategy,
    /// The number of steps, where a set's size decides it ([`BySize`](super::BySize)); no parameter.
    #[serde(skip)]
    pub planned_steps: Option<u64>,
}

/// Parameter `optimiser`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Optimiser {
    /// Stochastic gradient descent.
    Sgd,
    /// Adam, with weight decay as part of the gradient.
    Adam,
    /// Adam with weight decay apart from the gradient.
    AdamW,
}

impl TrainingParams {
    /// The parameters with `lr` replaced by the learning rate that was learnt with the set's images, if `wanted`. An
    /// error if the set has none or it is not above zero.
    pub fn with_learned_lr(self, wanted: bool, set: &TrainingSet) -> Result<Self> {
        if !wanted {
            return Ok(self);
        }
        let learnt = match set {
            TrainingSet::Synthetic(set) => set.lr,
            TrainingSet::Real(_) => None,
        };
        let lr = learnt.context(
            "learned_lr = true, but no learning rate was learnt with these images, as distill.mtt does; give lr instead",
        )?;
        ensure!(
            lr > 0.0,
            "the learning rate that was learnt with these images is {lr}; give learned_lr = false and lr instead"
        );
        Ok(TrainingParams { lr, ..self })
    }

    /// Says what of the parameters contradicts itself, the objective, or the length of a training on so many images.
    pub fn check(&self, objective: Objective, images: i64) -> Result<()> {
        self.check_length(images)?;
        ensure!(
            self.warmup_steps == 0 || self.warmup_epochs == 0,
            "warmup_steps = {} and warmup_epochs = {} are two lengths of one warm-up; give one of them",
            self.warmup_steps,
            self.warmup_epochs
        );
        ensure!(
            self.label_smoothing == 0.0 || objective == Objective::CrossEntropy,
            "label_smoothing = {} is for cross entropy with classes, and the loss here is {}",
            self.label_smoothing,
            match objective {
                Objective::Softened { .. } => "the divergence from a teacher's probabilities; leave it out",
                _ => "squared error; leave it out, or give loss = \"cross_entropy\" for a set with classes",
            }
        );
        Ok(())
    }

    /// Says what of the learning rate's course lies behind the end of a training on so many images.
    fn check_length(&self, images: i64) -> Result<()> {
        let settings = self.settings(0);
        let (steps, epochs) = (settings.steps(images), self.epochs);
        let warm_up = match (self.warmup_steps, self.warmup_epochs) {
            (0, 0) => None,
            (0, epochs) => Some(("warmup_epochs", epochs, epochs.saturating_mul(settings.steps_per_epoch(images)))),
            (steps, _) => Some(("warmup_steps", steps, steps)),
        };
        if let Some((name, given, _)) = warm_up.filter(|(_, _, length)| *length > steps) {
            bail!(
                "{name} = {given} is longer than the whole training, {steps} steps, so that the learning rate never gets to lr; \
                 give {name} a smaller value too (a protocol may have set it)"
            );
        }
        // Below 1 they are shares of the epochs.
        let later = |milestone: &f64| *milestone >= 1.0 && *milestone >= epochs as f64;
        ensure!(
            self.schedule != Schedule::Multistep || self.milestones.is_empty() || !self.milestones.iter().all(later),
            "milestones = {:?} all lie behind the {epochs} epochs of the training, so that the learning rate never drops; give \
             milestones too (a protocol may have set them), as shares below 1 or as epochs",
            self.milestones
        );
        Ok(())
    }

    /// The optimiser.
    pub fn descent(&self) -> Descent {
        let betas = Betas { first: self.beta1, second: self.beta2, eps: self.eps };
        let rule = match self.optimiser {
            Optimiser::Sgd => Rule::Sgd { momentum: self.momentum, nesterov: self.nesterov },
            Optimiser::Adam => Rule::Adam(betas),
            Optimiser::AdamW => Rule::AdamW(betas),
        };
        Descent { rule, weight_decay: self.weight_decay, decayed: self.decayed }
    }

    /// What there is to say of the learning rate beside its schedule.
    pub fn course(&self) -> Course {
        let warm_up = match (self.warmup_steps, self.warmup_epochs) {
            (0, 0) => WarmUp::None,
            (0, epochs) => WarmUp::Epochs(epochs),
            (steps, _) => WarmUp::Steps(steps),
        };
        Course { pace: self.rate_by, end: self.lr_end, warm_up, milestones: self.milestones.clone(), drop: self.drop }
    }

    /// The average of the parameters that is tested and kept, if any.
    pub fn average(&self) -> Option<Average> {
        (self.ema > 0.0).then_some(Average { decay: self.ema, start: self.ema_start })
    }

    /// The mixtures of images and labels.
    pub fn mixing(&self) -> Mixing {
        let TrainingParams { mixup, cutmix, mix_share, label_smoothing, .. } = *self;
        Mixing { mixup, cutmix, mix_share, label_smoothing }
    }

    /// The settings of the training loop, with this seed for shuffling.
    pub fn settings(&self, seed: u64) -> Settings {
        Settings {
            epochs: self.epochs,
            batch_size: self.batch_size,
            rate: self.lr,
            schedule: self.schedule,
            course: self.course(),
            optimiser: self.descent(),
            average: self.average(),
            dropout: self.dropout,
            seen_twice: self.norm_passes > 1,
            seed,
            planned_steps: self.planned_steps,
            max_steps: None,
        }
    }

    /// The augmentation for this network, if any.
    pub fn augmentation(&self, network: &Network, seed: u64) -> Option<Box<dyn Augment>> {
        let first = self.augment.for_training(&self.strategy, &network.spec().architecture, seed);
        self.mixing().behind(first, seed)
    }
}
