//! Whether two lists of numbers agree: linearly (Pearson), in their ranks (Spearman), in the order of their pairs
//! (Kendall). All give nothing where the coefficient is not defined: lists of different lengths, fewer than two
//! entries, a list of equal numbers, a number that is not finite.

use std::cmp::Ordering;

/// Pearson's r.
pub fn pearson(a: &[f64], b: &[f64]) -> Option<f64> {
    let (a, b) = (centred(a)?, centred(b)?);
    if a.len() != b.len() {
        return None;
    }
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    Some((dot(&a, &b) / (dot(&a, &a).sqrt() * dot(&b, &b).sqrt())).clamp(-1.0, 1.0))
}

/// Spearman's rho: Pearson's r of the ranks, where equal numbers share the mean of their ranks.
pub fn spearman(a: &[f64], b: &[f64]) -> Option<f64> {
    pearson(&ranks(a)?, &ranks(b)?)
}

/// Kendall's tau-b: (pairs in the same order - pairs in opposite order) / sqrt(pairs not tied in a * pairs not tied in
/// b). Looks at every pair: a list of 10,000 takes a fraction of a second.
pub fn kendall_tau_b(a: &[f64], b: &[f64]) -> Option<f64> {
    centred(a)?;
    centred(b)?;
    if a.len() != b.len() {
        return None;
    }
    let (mut balance, mut untied_a, mut untied_b) = (0i64, 0u64, 0u64);
    for i in 0..a.len() {
        for j in 0..i {
            let (in_a, in_b) = (a[i].partial_cmp(&a[j])?, b[i].partial_cmp(&b[j])?);
            balance += in_a as i64 * in_b as i64;
            untied_a += u64::from(in_a != Ordering::Equal);
            untied_b += u64::from(in_b != Ordering::Equal);
        }
    }
    Some(balance as f64 / (untied_a as f64 * untied_b as f64).sqrt())
}

/// The numbers less their mean, when a correlation with them can be defined.
fn centred(values: &[f64]) -> Option<Vec<f64>> {
    let first = *values.first()?;
    if !values.iter().all(|value| value.is_finite()) || values.iter().all(|&value| value == first) {
        return None;
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    Some(values.iter().map(|value| value - mean).collect())
}

/// Ranks from 1; equal numbers share the mean of theirs. Nothing when a number is not finite.
fn ranks(values: &[f64]) -> Option<Vec<f64>> {
    if !values.iter().all(|value| value.is_finite()) {
        return None;
    }
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let (mut ranks, mut done) = (vec![0.0; values.len()], 0usize);
    for tied in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let mean = done as f64 + (tied.len() as f64 + 1.0) / 2.0;
        tied.iter().for_each(|&at| ranks[at] = mean);
        done += tied.len();
    }
    Some(ranks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_all_that_ranks_know() {
        let (a, b) = ([1.0, 2.0, 3.0, 4.0], [1.0, 10.0, 100.0, 1000.0]);
        assert!(spearman(&a, &b).is_some_and(|rho| (rho - 1.0).abs() < 1e-12));
        assert_eq!(kendall_tau_b(&a, &b), Some(1.0));
        assert!(pearson(&a, &b).is_some_and(|r| r < 0.9));
        let reversed: Vec<f64> = b.iter().rev().copied().collect();
        assert_eq!(kendall_tau_b(&a, &reversed), Some(-1.0));
        assert_eq!(ranks(&[5.0, 1.0, 5.0, 0.0]).as_deref(), Some([3.5, 2.0, 3.5, 1.0].as_slice()));
    }

    #[test]
    fn what_is_not_defined_is_nothing() {
        let a = [1.0, 2.0, 3.0];
        let others: [&[f64]; 5] = [&[], &[1.0], &[2.0, 2.0, 2.0], &[1.0, 2.0], &[1.0, f64::NAN, 2.0]];
        for other in others {
            for correlation in [pearson, spearman, kendall_tau_b] {
                assert_eq!(correlation(&a, other), None, "{other:?}");
            }
        }
    }
}
