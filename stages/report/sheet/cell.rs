//! Mean and standard deviation of the values of a cell.

use ddpipe_nn::metrics::mean_std;
use serde::Serialize;

/// The numbers of one cell, unscaled.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cell {
    /// The mean, or the single value.
    pub mean: f64,
    /// The sample standard deviation (divided by n-1); `None` for a single value, unless its result reports one.
    pub std: Option<f64>,
    /// Number of values.
    pub n: usize,
}

impl Cell {
    /// Mean and standard deviation of these values; `None` if there are no values.
    pub fn of(values: &[f64]) -> Option<Self> {
        let (mean, std) = mean_std(values);
        (!values.is_empty()).then(|| Cell { mean, std: (values.len() > 1).then_some(std), n: values.len() })
    }
}

/// The number of values of every cell, if it is the same for all cells.
pub fn same_n<'a>(cells: impl Iterator<Item = &'a Cell>) -> Option<usize> {
    let mut counts = cells.map(|cell| cell.n);
    let first = counts.next()?;
    counts.all(|n| n == first).then_some(first)
}
