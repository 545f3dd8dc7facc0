//! What was taken for what, and everything that follows from it alone: accuracies and F1. Knows no scores.

use crate::transfer;
use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// How often an image of class i was taken for class j.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    /// One row per true class, one column per predicted class.
    pub rows: Vec<Vec<u64>>,
}

impl Confusion {
    /// The confusion matrix before any image was counted.
    pub fn new(classes: usize) -> Self {
        Confusion { rows: vec![vec![0; classes]; classes] }
    }

    /// Adds labels and predictions, \[N\] int64 each.
    pub fn count(&mut self, labels: &Tensor, predictions: &Tensor) -> Result<()> {
        self.count_read(&transfer::numbers::<i64>(labels)?, &transfer::numbers::<i64>(predictions)?)
    }

    /// Adds labels and predictions that were read already, as many of both.
    pub fn count_read(&mut self, labels: &[i64], predictions: &[i64]) -> Result<()> {
        let classes = self.rows.len();
        let (Some(low), Some(high)) = (labels.iter().min(), labels.iter().max()) else { return Ok(()) };
        ensure!(
            *low >= 0 && *high < classes as i64,
            "labels go from {low} to {high}, the network knows classes 0 to {}",
            classes as i64 - 1
        );
        for (&label, &prediction) in labels.iter().zip(predictions) {
            let cell = self.rows.get_mut(label as usize).and_then(|row| row.get_mut(prediction as usize));
            *cell.with_context(|| format!("class {prediction} was predicted, of {classes}"))? += 1;
        }
        Ok(())
    }

    /// Adds another matrix of the same classes.
    pub fn add(&mut self, other: &Confusion) {
        for (row, others) in self.rows.iter_mut().zip(&other.rows) {
            for (cell, other) in row.iter_mut().zip(others) {
                *cell += other;
            }
        }
    }

    /// Share of images whose class was found; not a number when there are none.
    pub fn accuracy(&self) -> f64 {
        let right: u64 = self.rows.iter().enumerate().map(|(class, row)| row[class]).sum();
        let all: u64 = self.rows.iter().flatten().sum();
        right as f64 / all as f64
    }

    /// The same for the images of each class; nothing for a class without images.
    pub fn per_class(&self) -> Vec<Option<f64>> {
        let share = |(class, row): (usize, &Vec<u64>)| match row.iter().sum::<u64>() {
            0 => None,
            all => Some(row[class] as f64 / all as f64),
        };
        self.rows.iter().enumerate().map(share).collect()
    }

    /// Mean share over the classes that have images; not a number when there are none.
    pub fn balanced_accuracy(&self) -> f64 {
        let present: Vec<f64> = self.per_class().into_iter().flatten().collect();
        present.iter().sum::<f64>() / present.len() as f64
    }

    /// F1 of each class: twice its hits, by its images plus the predictions of it; 0 for a class with neither.
    pub fn per_class_f1(&self) -> Vec<f64> {
        let f1 = |class: usize| {
            let images: u64 = self.rows[class].iter().sum();
            let predictions: u64 = self.rows.iter().map(|row| row[class]).sum();
            match images + predictions {
                0 => 0.0,
                both => 2.0 * self.rows[class][class] as f64 / both as f64,
            }
        };
        (0..self.rows.len()).map(f1).collect()
    }

    /// Mean F1 over the classes that have images or were predicted; not a number when there are none.
    pub fn macro_f1(&self) -> f64 {
        let known = |class: &usize| {
            self.rows.iter().map(|row| row[*class]).sum::<u64>() + self.rows[*class].iter().sum::<u64>() > 0
        };
        let f1 = self.per_class_f1();
        let f1: Vec<f64> = (0..f1.len()).filter(known).map(|class| f1[class]).collect();
        f1.iter().sum::<f64>() / f1.len() as f64
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_confusion_matrix_counts_and_adds_up() {
        let mut confusion = Confusion::new(3);
        let (labels, predictions) = (Tensor::from_slice(&[0i64, 0, 1, 1, 1]), Tensor::from_slice(&[0i64, 2, 1, 1, 0]));
        confusion.count(&labels, &predictions).unwrap();
        assert_eq!(confusion.rows, [[1, 0, 1], [1, 2, 0], [0, 0, 0]]);
        assert_eq!(confusion.accuracy(), 0.6);
        assert_eq!(confusion.per_class(), [Some(0.5), Some(2.0 / 3.0), None]);
        assert_eq!(confusion.balanced_accuracy(), (0.5 + 2.0 / 3.0) / 2.0);
        assert_eq!(confusion.per_class_f1(), [0.5, 0.8, 0.0]);
        // Class 2 was predicted; a class with neither images nor predictions does not count, as in scikit-learn.
        assert_eq!(confusion.macro_f1(), (0.5 + 0.8) / 3.0);
        let mut absent = Confusion::new(3);
        absent.count(&labels, &Tensor::from_slice(&[0i64, 1, 1, 1, 0])).unwrap();
        assert_eq!(absent.macro_f1(), absent.per_class_f1().iter().sum::<f64>() / 2.0);
        confusion.add(&confusion.clone());
        assert_eq!(confusion.rows, [[2, 0, 2], [2, 4, 0], [0, 0, 0]]);
        let error = confusion.count(&Tensor::from_slice(&[3i64]), &Tensor::from_slice(&[0i64])).unwrap_err();
        assert_eq!(error.to_string(), "labels go from 3 to 3, the network knows classes 0 to 2");
    }
}
