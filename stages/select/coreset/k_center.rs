//! Greedy k-center (Gonzalez 1985; Sener and Savarese, ICLR 2018): selects images so that every other image is close to
//! a selected one.

#![expect(non_snake_case, reason = "tensors carry their shape in their names; mod.rs has the legend")]

use crate::select::coreset::distance::{row, squared_distances};
use anyhow::{Result, ensure};
use tch::Tensor;

/// The result of the greedy selection.
#[derive(Debug, PartialEq)]
pub struct Centers {
    /// The selected rows in the order of selection, beginning with `first`.
    pub order: Vec<usize>,
    /// The largest Euclidean distance of any row to its nearest centre.
    pub radius: f64,
}

/// Selects `amount` rows of features_ND (all, if there are fewer): `first`, and then in each step the row that is
/// farthest from its nearest centre. Of equally far rows the first is taken. An error if there is no row `first`.
pub fn k_center(features_ND: &Tensor, first: usize, amount: usize) -> Result<Centers> {
    let count = features_ND.size()[0] as usize;
    ensure!(first < count, "the first centre is row {first}, there are {count} rows");
    let mut nearest = vec![f64::INFINITY; count];
    let (mut taken, mut order, mut next) = (vec![false; count], Vec::new(), first);
    for _ in 0..amount.min(count) {
        taken[next] = true;
        order.push(next);
        let distances = squared_distances(features_ND, &row(features_ND, next)?)?;
        nearest.iter_mut().zip(distances).for_each(|(nearest, distance)| *nearest = nearest.min(distance));
        // max_by returns the last of equal elements, which in reversed order is the first row.
        let farthest = (0..count).rev().filter(|&at| !taken[at]).max_by(|&a, &b| nearest[a].total_cmp(&nearest[b]));
        match farthest {
            Some(farthest) => next = farthest,
            None => break,
        }
    }
    let radius = nearest.iter().copied().fold(0.0, f64::max).sqrt();
    Ok(Centers { order, radius })
}
