//! A few numbers folded into mean and deviation.

use ddpipe_nn::metrics::mean_std;
use serde::Serialize;

/// One cell.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cell {
    /// The mean, or the single value.
    pub mean: f64,
    /// The sample standard deviation (divided by n-1); none of a single value, unless it comes with one.
    pub std: Option<f64>,
    /// Number of values.
    pub n: usize,
}

impl Cell {
    /// The fold of these values; no values, no cell.
    pub fn of(values: &[f64]) -> Option<Self> {
        let (mean, std) = mean_std(values);
        (!values.is_empty()).then(|| Cell { mean, std: (values.len() > 1).then_some(std), n: values.len() })
    }
}

/// How many values every cell is of, when that is one number.
pub fn same_n<'a>(cells: impl Iterator<Item = &'a Cell>) -> Option<usize> {
    let mut counts = cells.map(|cell| cell.n);
    let first = counts.next()?;
    counts.all(|n| n == first).then_some(first)
}
