//! What is told of a student beyond what is told of any trained network: how it was taught and by whom, and how much it
//! is like its teacher.

use crate::context::{Artifact, Outputs};
use crate::distill::knowledge::teacher::{CHAIN, Teacher};
use crate::training::Trained;
use anyhow::Result;
use serde_json::{Value, json};

/// Teacher and student on the test images.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Likeness {
    /// Share of the images that the teacher classifies rightly.
    pub teacher_accuracy: f64,
    /// Share of the images that both put into the same class, right or wrong.
    pub agreement: f64,
}

/// A student after its training.
pub struct Outcome<'a> {
    /// What it is.
    pub trained: Trained<'a>,
    /// Whom it learnt from.
    pub teacher: &'a Teacher,
    /// How it compares with its teacher on the test images, if there are any.
    pub likeness: Option<Likeness>,
    /// Further entries of the document.
    pub about: Vec<(&'static str, Value)>,
}

impl Outcome<'_> {
    /// Everything but the seconds, which differ from run to run.
    pub fn outputs(self) -> Result<Outputs> {
        let likeness = [
            ("teacher_accuracy", self.likeness.map(|likeness| likeness.teacher_accuracy)),
            ("teacher_agreement", self.likeness.map(|likeness| likeness.agreement)),
        ];
        let chain: Value = self.teacher.chain().into();
        let mut document = self.trained.document()?;
        document[CHAIN] = chain.clone();
        let likely = likeness.iter().map(|&(name, value)| (name, json!(value)));
        for (name, value) in self.about.into_iter().chain(likely) {
            document[name] = value;
        }
        let mut outputs = self.trained.outputs(document)?;
        if let Some(Artifact::Tensors(model)) = outputs.artifacts.get_mut("model") {
            model.about[CHAIN] = chain;
        }
        let measured = likeness.into_iter().filter_map(|(name, value)| Some((name, value?)));
        Ok(measured.fold(outputs, |outputs, (name, value)| outputs.metric(name, value)))
    }
}
