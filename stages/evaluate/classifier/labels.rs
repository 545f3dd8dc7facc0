//! Parameter `labels`: what students learn of the images' labels. The images stay as they are.

use crate::context::{Context, Inputs};
use crate::training::{Asked, Criterion, Labeller, Objective, Relabelled, Teacher, TrainingSet};
use anyhow::{Result, bail, ensure};
use ddpipe_nn::loss::softened;
use serde::Deserialize;
use serde_json::{Value, json};

/// Where the labels of a student's training come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Labels {
    /// The set's own, of whatever kind.
    Own,
    /// The class at whose place an image stands.
    Hard,
    /// The set's own probabilities.
    Soft,
    /// A teacher's, once for every image.
    Teacher,
    /// A teacher's, anew for every batch as it is shown.
    TeacherEveryEpoch,
}

/// The parameters of labels.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct LabelParams {
    labels: Labels,
    temperature: f64,
}

/// What students learn by.
pub struct Lesson<'a> {
    /// The examples with a teacher's labels; nothing where the set's are kept.
    pub relabelled: Option<Relabelled<'a>>,
    /// Who labels every batch.
    pub labeller: Option<Labeller>,
    /// The objective for such labels.
    pub objective: Objective,
}

impl LabelParams {
    /// The set with the labels that are wanted of it. An error if it has none of this kind.
    pub fn of_set(self, set: TrainingSet) -> Result<TrainingSet> {
        match (self.labels, set) {
            (Labels::Hard, TrainingSet::Synthetic(set)) if set.soft_labels() => {
                Ok(TrainingSet::Synthetic(set.with_hard_labels()?))
            }
            (Labels::Soft, set) => {
                ensure!(
                    set.label_kind() == "soft",
                    "labels = \"soft\", but the labels of \"synthetic\" are {}; connect input \"teacher\" and give labels = \
                     \"teacher\" or \"teacher_every_epoch\", or keep them with labels = \"own\"",
                    match set.label_kind() {
                        "targets" => "regression targets and no probabilities",
                        _ => "hard",
                    }
                );
                Ok(set)
            }
            (_, set) => Ok(set),
        }
    }

    /// What students learn of this set, with the teacher of input `teacher` where one is needed.
    pub fn lesson<'a>(
        self,
        ctx: &Context,
        inputs: &Inputs,
        set: &'a TrainingSet,
        loss: Criterion,
    ) -> Result<Lesson<'a>> {
        if !self.is_by_teacher() {
            return Ok(Lesson { relabelled: None, labeller: None, objective: Objective::of(loss, set)? });
        }
        ensure!(
            inputs.has("teacher"),
            "labels = {} come from a trained network; connect input \"teacher\" (a model of train.classifier), or give \
             labels = \"own\", \"hard\" or \"soft\"",
            self.name()
        );
        let temperature = self.temperature;
        let objective = match loss {
            Criterion::Auto => Objective::Softened { temperature, divergence: true },
            Criterion::CrossEntropy => Objective::Softened { temperature, divergence: false },
            Criterion::Mse => bail!(
                "loss = \"mse\" with labels = {}: a teacher's probabilities are learnt by their divergence; give loss = \
                 \"auto\"",
                self.name()
            ),
        };
        let teacher = Teacher::of(inputs, "teacher", Asked::of("synthetic", set))?;
        if self.labels == Labels::TeacherEveryEpoch {
            return Ok(Lesson { relabelled: None, labeller: Some(Labeller { teacher, temperature }), objective });
        }
        let logits = teacher.logits_of(set.examples(), || ctx.check())?;
        let relabelled = Relabelled { examples: set.examples(), labels: softened(&logits, temperature)? };
        Ok(Lesson { relabelled: Some(relabelled), labeller: None, objective })
    }

    /// What a teacher does, for the protocol of the document; nothing without one.
    pub fn document(self) -> Option<Value> {
        let labels = if self.labels == Labels::Teacher { "once" } else { "every_epoch" };
        self.is_by_teacher().then(|| json!({ "labels": labels, "temperature": self.temperature }))
    }

    /// Whether a teacher gives the labels.
    pub fn is_by_teacher(self) -> bool {
        matches!(self.labels, Labels::Teacher | Labels::TeacherEveryEpoch)
    }

    fn name(self) -> &'static str {
        match self.labels {
            Labels::TeacherEveryEpoch => "\"teacher_every_epoch\"",
            _ => "\"teacher\"",
        }
    }
}
