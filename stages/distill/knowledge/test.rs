//! What is measured on test images after every epoch of the student's training: its scores, and after the last epoch how
//! often it agrees with the teacher.

use super::outcome::Likeness;
use crate::artifact::Dataset;
use crate::training::{self, Report, State, logits_of};
use anyhow::Result;
use ddpipe_nn::metrics::TestScores;
use ddpipe_nn::network::{Network, Parameters};
use tch::{Kind, Tensor};

/// The test images with the teacher's predictions.
pub struct Test<'a> {
    /// The images.
    pub set: &'a Dataset,
    /// The classes \[N\] int64 that the teacher puts them into.
    pub by_teacher: Tensor,
}

impl Test<'_> {
    /// The student's scores.
    pub fn scores(
        &self,
        network: &Network,
        parameters: &Parameters,
        state: &State,
        report: &Report,
    ) -> Result<TestScores> {
        training::evaluate(network, parameters, self.set, || report.tell(state, None))
    }

    /// How often the student agrees with the teacher, and how often the teacher is right.
    pub fn likeness(
        &self,
        network: &Network,
        parameters: &Parameters,
        state: &State,
        report: &Report,
    ) -> Result<Likeness> {
        let logits = logits_of(network, parameters, self.set, || report.tell(state, None))?;
        let share = |ours: &Tensor, theirs: &Tensor| -> Result<f64> {
            Ok(f64::try_from(ours.f_eq_tensor(theirs)?.f_to_kind(Kind::Double)?.f_mean(Kind::Double)?)?)
        };
        let agreement = share(&logits.f_argmax(1, false)?, &self.by_teacher)?;
        Ok(Likeness { teacher_accuracy: share(&self.by_teacher, &self.set.labels)?, agreement })
    }
}
