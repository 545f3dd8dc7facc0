//! Herding (Welling, ICML 2009; as iCaRL chooses exemplars): selects images whose mean embedding is close to the mean
//! of all.

#![expect(non_snake_case, reason = "tensors carry their shape in their names; mod.rs has the legend")]

use crate::select::coreset::distance::{mean, row, squared_distances};
use anyhow::Result;
use tch::Tensor;

/// The first `amount` rows of features_ND (all, if there are fewer) in the order of herding. With μ the mean of all
/// rows and S the sum of those taken, step k takes the row f not yet taken with the smallest |k μ - S - f|, which
/// brings the mean of the taken rows closest to μ. Of equally good rows the first is taken.
pub fn herding(features_ND: &Tensor, amount: usize) -> Result<Vec<usize>> {
    let count = features_ND.size()[0] as usize;
    if count == 0 {
        return Ok(Vec::new());
    }
    let mean_D = mean(features_ND)?;
    let mut sum_D = mean_D.zeros_like();
    let (mut taken, mut order) = (vec![false; count], Vec::new());
    for step in 1..=amount.min(count) {
        let wanted_D = mean_D.f_mul_scalar(step as f64)?.f_sub(&sum_D)?;
        let distances = squared_distances(features_ND, &wanted_D)?;
        let free = (0..count).filter(|&at| !taken[at]);
        let Some(best) = free.min_by(|&a, &b| distances[a].total_cmp(&distances[b])) else { break };
        taken[best] = true;
        order.push(best);
        sum_D = sum_D.f_add(&row(features_ND, best)?)?;
    }
    Ok(order)
}
