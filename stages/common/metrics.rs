//! Numbers about predictions: confusion matrix, accuracies, mean and standard deviation. Knows no network.

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

/// How often an image of class i was taken for class j.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    /// One row per true class, one column per predicted class.
    pub rows: Vec<Vec<u64>>,
}

impl Confusion {
    /// Of no images.
    pub fn new(classes: usize) -> Self {
        Confusion { rows: vec![vec![0; classes]; classes] }
    }

    /// Adds labels and predictions, \[N\] int64 each.
    pub fn count(&mut self, labels: &Tensor, predictions: &Tensor) -> Result<()> {
        let classes = self.rows.len() as i64;
        if labels.numel() == 0 {
            return Ok(());
        }
        let (low, high) = (i64::try_from(labels.min())?, i64::try_from(labels.max())?);
        ensure!(
            low >= 0 && high < classes,
            "labels go from {low} to {high}, the network knows classes 0 to {}",
            classes - 1
        );
        let cells = (labels * classes + predictions).f_bincount(None::<&Tensor>, classes * classes)?;
        let cells = Vec::<i64>::try_from(cells.to_device(Device::Cpu).to_kind(Kind::Int64))?;
        for (row, cells) in self.rows.iter_mut().zip(cells.chunks(classes as usize)) {
            for (cell, count) in row.iter_mut().zip(cells) {
                *cell += *count as u64;
            }
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
}

/// Mean and sample standard deviation (divided by n-1; 0 for a single value).
pub fn mean_std(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    if values.len() < 2 {
        return (mean, 0.0);
    }
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / (count - 1.0)).sqrt())
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
        confusion.add(&confusion.clone());
        assert_eq!(confusion.rows, [[2, 0, 2], [2, 4, 0], [0, 0, 0]]);
        let error = confusion.count(&Tensor::from_slice(&[3i64]), &Tensor::from_slice(&[0i64])).unwrap_err();
        assert_eq!(error.to_string(), "labels go from 3 to 3, the network knows classes 0 to 2");
    }

    #[test]
    fn the_standard_deviation_is_of_a_sample() {
        assert_eq!(mean_std(&[1.0, 2.0, 3.0, 4.0]), (2.5, (5.0f64 / 3.0).sqrt()));
        assert_eq!(mean_std(&[7.0]), (7.0, 0.0));
    }
}
