//! The parameters of the stage, and what they say of distillation and of training.

use super::loss;
use crate::distill::knowledge::hint::Hint;
use crate::distill::knowledge::layers::Pair;
use crate::distill::knowledge::loss::{Average, HintForm};
use crate::distill::knowledge::relations::Relational;
use crate::params::NetworkParams;
use crate::training::{BySize, ClassWeights, Objective, Phase, TrainingParams, TrainingSet, Tuning};
use anyhow::Result;
use ddpipe_nn::augment::{Augment, Geometric};
use ddpipe_nn::network::Network;
use serde::Deserialize;
use serde_json::{Value, json};

/// Which student, how it is trained, and what it takes from its teacher.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    #[serde(flatten)]
    pub(super) network: NetworkParams,
    pub(super) doubling: bool,
    #[serde(flatten)]
    training: TrainingParams,
    #[serde(flatten)]
    by_size: BySize,
    temperature: f64,
    alpha: f64,
    average: Average,
    hint: Hint,
    student_layers: Vec<usize>,
    teacher_layers: Vec<usize>,
    hint_epochs: u64,
    hint_lr: Option<f64>,
    hint_loss: HintForm,
    beta: Option<f64>,
    distance_weight: f64,
    angle_weight: f64,
    embedding_size: i64,
    learned_lr: bool,
    pub(super) subset: Option<usize>,
    #[serde(flatten)]
    geometric: Geometric,
    class_weights: ClassWeights,
    #[serde(flatten)]
    tuning: Tuning,
}

/// What a student takes from its teacher; each field is the parameter of the same name, or of its parts.
#[derive(Debug)]
pub(super) struct Distillation {
    pub soft_targets: loss::Settings,
    pub hint: Hint,
    pub student_layers: Vec<usize>,
    pub teacher_layers: Vec<usize>,
    pub hint_epochs: u64,
    pub hint_lr: Option<f64>,
    pub hint_loss: HintForm,
    pub beta: f64,
    pub relational: Relational,
    pub embedding_size: i64,
}

/// How the student is trained.
#[derive(Debug)]
pub(super) struct StudentTraining {
    /// The first phase.
    pub params: TrainingParams,
    /// The images are mirrored, turned, enlarged and moved first.
    pub geometric: Geometric,
    /// What is frozen, and the second phase.
    pub tuning: Tuning,
    /// How much classes count in the labels' part of the loss.
    pub class_weights: ClassWeights,
}

impl StudentTraining {
    /// What changes the images, if anything does.
    pub fn augmentation(&self, network: &Network, seed: u64) -> Option<Box<dyn Augment>> {
        self.geometric.before(self.params.augmentation(network, seed), seed)
    }
}

impl Params {
    /// What they say of distillation, and of training on this set.
    pub(super) fn apart(self, set: &TrainingSet) -> Result<(Distillation, StudentTraining)> {
        let Params { training, by_size, learned_lr, geometric, class_weights, tuning, .. } = self;
        let Params { temperature, alpha, average, hint, student_layers, teacher_layers, .. } = self;
        let Params { hint_epochs, hint_lr, hint_loss, beta, distance_weight, angle_weight, embedding_size, .. } = self;
        let soft_targets = loss::Settings { temperature, alpha, average };
        let distillation = Distillation {
            soft_targets,
            hint,
            student_layers,
            teacher_layers,
            hint_epochs,
            hint_lr,
            hint_loss,
            beta: beta.unwrap_or(hint.published_weight()),
            relational: Relational { distance: distance_weight, angle: angle_weight },
            embedding_size,
        };
        let params = by_size.of(training.with_learned_lr(learned_lr, set)?, set.examples().count())?;
        params.check(Objective::CrossEntropy, set.examples().count())?;
        let training = StudentTraining { params, geometric, tuning, class_weights };
        Ok((distillation, training))
    }
}

impl Distillation {
    /// What counts of it, for the document of metrics.
    pub fn document(&self, pairs: &[Pair], hints: Option<&Phase>) -> Value {
        let Distillation { soft_targets, hint, hint_loss, beta, relational, embedding_size, .. } = self;
        let mut document = json!({ "answers": soft_targets, "hint": hint });
        if !pairs.is_empty() {
            document["layers"] = json!(pairs);
        }
        match hints {
            Some(Phase { settings, .. }) => {
                document["hints"] = json!({ "epochs": settings.epochs, "lr": settings.rate, "loss": hint_loss });
            }
            None if *hint != Hint::None => document["beta"] = json!(beta),
            None => {}
        }
        match hint {
            Hint::Rkd => document["weights"] = json!(relational),
            Hint::Correlation => document["embedding_size"] = json!(embedding_size),
            _ => {}
        }
        document
    }
}
