//! All that one pass over test images says about a classifier, from its logits.

use super::{Agreement, BINS, Calibration, Confusion, roc_auc, roc_auc_one_vs_rest};
use crate::transfer;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// What a pass over the test images says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TestScores {
    /// What was taken for what.
    pub confusion: Confusion,
    /// Area under the ROC curve of the probabilities: of class 1 where there are two classes, else the mean of each
    /// class against the rest. Nothing where it is not defined.
    pub auc: Option<f64>,
    /// How honest the probabilities are, in [`BINS`] bins. Nothing where they are none.
    pub calibration: Option<Calibration>,
    /// The accuracy by annotators' votes, where the images have any.
    pub agreement: Option<Agreement>,
    /// Wall time of the pass; never part of an artifact.
    pub seconds: f64,
}

impl TestScores {
    /// Expected calibration error of the probabilities.
    pub fn ece(&self) -> Option<f64> {
        self.calibration.as_ref().map(Calibration::error)
    }

    /// Images that were classified in a second of the pass.
    pub fn images_per_second(&self) -> f64 {
        let images: u64 = self.confusion.rows.iter().flatten().sum();
        images as f64 / self.seconds.max(1e-9)
    }
}

/// The probabilities that a classifier gave, batch after batch, on the host: 8 bytes per image and class, because
/// single precision would tie the many that are nearly one.
#[derive(Debug)]
pub struct Probabilities {
    labels: Vec<i64>,
    rows: Vec<f64>,
    classes: usize,
}

impl Probabilities {
    /// The probabilities before any image was added.
    pub fn new(classes: usize) -> Self {
        Probabilities { labels: Vec::new(), rows: Vec::new(), classes }
    }

    /// Adds the softmax of logits \[B,K\] of images with these labels (\[B\] int64).
    pub fn add(&mut self, labels: &Tensor, logits: &Tensor) -> Result<()> {
        let softmax = Self::of(logits)?;
        self.add_read(transfer::numbers::<i64>(labels)?, transfer::numbers::<f64>(&softmax.f_reshape([-1])?)?);
        Ok(())
    }

    /// Adds labels and their probabilities, image after image, that were read already.
    pub fn add_read(&mut self, labels: impl IntoIterator<Item = i64>, rows: impl IntoIterator<Item = f64>) {
        self.rows.extend(rows);
        self.labels.extend(labels);
    }

    /// \[B,K\] float64, the probabilities of logits \[B,K\].
    pub fn of(logits: &Tensor) -> Result<Tensor> {
        Ok(logits.f_to_kind(Kind::Double)?.f_softmax(1, Kind::Double)?)
    }

    /// See [`TestScores::auc`].
    pub fn auc(&self) -> Option<f64> {
        let score = |image: usize, class: usize| self.rows[image * self.classes + class];
        if self.classes != 2 {
            return roc_auc_one_vs_rest(&self.labels, self.classes, score);
        }
        let scores: Vec<f64> = (0..self.labels.len()).map(|image| score(image, 1)).collect();
        let positive: Vec<bool> = self.labels.iter().map(|&label| label == 1).collect();
        roc_auc(&scores, &positive)
    }

    /// See [`TestScores::calibration`].
    pub fn calibration(&self) -> Option<Calibration> {
        let answer = |(row, &label): (&[f64], &i64)| {
            // The first of equal ones, as argmax has it.
            let best = (0..row.len()).rev().max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(0);
            (row[best], best as i64 == label)
        };
        Calibration::of(self.rows.chunks(self.classes.max(1)).zip(&self.labels).map(answer), BINS)
    }
}
