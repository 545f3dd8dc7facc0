//! What a student's layer and its teacher's are compared by while the student is trained: attention, or a relation between
//! the images of a batch. Layers are chosen in `layers`; the equations are in `loss` and `relations`.

use super::{loss, relations};
use crate::distill::knowledge::hint::Hint;
use crate::distill::knowledge::layers::{Pair, Shapes};
use crate::distill::knowledge::params::Distillation;
use crate::distill::knowledge::regressor::Regressor;
use crate::distill::knowledge::relations::Relational;
use anyhow::Result;
use ddpipe_nn::stream::stream;
use tch::{Device, TchError, Tensor};

/// The names of the embeddings' values in a checkpoint, in the order in which they stand behind the student's.
const EMBEDDINGS: [&str; 4] =
    ["embedding.student.weight", "embedding.student.bias", "embedding.teacher.weight", "embedding.teacher.bias"];

/// How two layers are compared.
#[derive(Clone, Debug, PartialEq)]
pub enum Comparison {
    /// By where their maps are active.
    Attention,
    /// By the distances and angles between images.
    Relational(Relational),
    /// By which images are similar.
    Similarity,
    /// By the probabilities of being neighbours.
    Pkt,
    /// By how far images are from their teacher's together with the next ones, both embedded by a trained linear layer.
    Correlation {
        /// The student's layer, in as many values as the teacher's.
        student: Regressor,
        /// The teacher's.
        teacher: Regressor,
    },
}

impl Comparison {
    /// What `hint` asks for beside the training, of layers of these shapes; nothing where it asks for nothing.
    pub(super) fn of(
        distillation: &Distillation,
        pairs: &[Pair],
        ours: &Shapes,
        theirs: &Shapes,
    ) -> Result<Option<Self>> {
        Ok(match (distillation.hint, pairs) {
            (Hint::None | Hint::Fitnet, _) => None,
            (Hint::Attention, _) => Some(Comparison::Attention),
            (Hint::Rkd, _) => Some(Comparison::Relational(distillation.relational)),
            (Hint::Similarity, _) => Some(Comparison::Similarity),
            (Hint::Pkt, _) => Some(Comparison::Pkt),
            (Hint::Correlation, &[pair]) => {
                let size = [distillation.embedding_size];
                let (student, teacher) = (&ours[pair.student], &theirs[pair.teacher]);
                let (student, teacher) = (Regressor::between(student, &size)?, Regressor::between(teacher, &size)?);
                Some(Comparison::Correlation { student, teacher })
            }
            (Hint::Correlation, _) => anyhow::bail!("hint \"correlation\" compares one layer with one"),
        })
    }

    /// Whether the images of a batch are compared with each other, so that it has to stay whole.
    pub fn is_of_batch(&self) -> bool {
        *self != Comparison::Attention
    }

    /// The names of the values that are trained beside the student's.
    pub fn beside(&self) -> &'static [&'static str] {
        match self {
            Comparison::Correlation { .. } => &EMBEDDINGS,
            _ => &[],
        }
    }

    /// These values at the start.
    pub fn init(&self, seed: u64, device: Device) -> Vec<Tensor> {
        let Comparison::Correlation { student, teacher } = self else { return Vec::new() };
        let sides = [(student, "embedding student"), (teacher, "embedding teacher")];
        sides.into_iter().flat_map(|(side, purpose)| side.init(&mut stream(seed, purpose, 0), device)).collect()
    }

    /// The loss of a batch, summed over its images: B times that of a relation. `beside` has the values of
    /// [`beside`](Self::beside).
    pub fn loss(&self, student: &Tensor, teacher: &Tensor, beside: &[Tensor]) -> Result<Tensor, TchError> {
        let of_batch = match self {
            Comparison::Attention => return loss::attention_transfer(student, teacher),
            Comparison::Relational(weights) => relations::relational(student, teacher, *weights)?,
            Comparison::Similarity => relations::similarity(student, teacher)?,
            Comparison::Pkt => relations::pkt(student, teacher)?,
            Comparison::Correlation { student: ours, teacher: theirs } => {
                let (own, other) = beside.split_at(beside.len() / 2);
                relations::correlation(&ours.apply(own, student)?, &theirs.apply(other, teacher)?)?
            }
        };
        of_batch.f_mul_scalar(student.size()[0] as f64)
    }
}
