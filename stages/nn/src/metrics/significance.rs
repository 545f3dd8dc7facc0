//! Whether two short lists of numbers differ by more than their own spread.

use super::mean_std;
use statrs::function::beta::checked_beta_reg;

/// The two-sided p-value of Welch's t-test (B. L. Welch, Biometrika 34, 1947): equal means, variances that may differ.
/// With s² the sample variance of n values, e = s²/n, t = (mean_a - mean_b) / sqrt(e_a + e_b), and the degrees of
/// freedom after Welch and Satterthwaite, (e_a + e_b)² / (e_a²/(n_a-1) + e_b²/(n_b-1)).
///
/// None when it is not defined: fewer than two values in a list, no spread in either, or numbers that are not finite.
pub fn welch(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.len() < 2 || b.len() < 2 {
        return None;
    }
    let ((mean_a, std_a), (mean_b, std_b)) = (mean_std(a), mean_std(b));
    let (error_a, error_b) = (std_a.powi(2) / a.len() as f64, std_b.powi(2) / b.len() as f64);
    let error = error_a + error_b;
    // Also sorts out NaN. Equal numbers may have a spread of one rounding error, which is none either.
    let rounding = f64::EPSILON * mean_a.abs().max(mean_b.abs());
    if !(error.sqrt() > rounding && error.is_finite() && mean_a.is_finite() && mean_b.is_finite()) {
        return None;
    }
    let freedom = error.powi(2) / (error_a.powi(2) / (a.len() - 1) as f64 + error_b.powi(2) / (b.len() - 1) as f64);
    let t = (mean_a - mean_b) / error.sqrt();
    // P(|T| >= |t|) for Student's T with f degrees of freedom is I_x(f/2, 1/2) at x = f / (f + t²).
    checked_beta_reg(freedom / 2.0, 0.5, freedom / (freedom + t * t)).ok().map(|p| p.clamp(0.0, 1.0))
}

/// p-values of one family of comparisons after Holm (Scandinavian Journal of Statistics 6, 1979): the smallest of m
/// times m, the next times m-1, …, never below one before it, never above 1.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut adjusted = vec![0.0; p.len()];
    let mut floor: f64 = 0.0;
    for (rank, &index) in order.iter().enumerate() {
        floor = floor.max((p.len() - rank) as f64 * p[index]).min(1.0);
        adjusted[index] = floor;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// p-values of scipy 1.17.1, `scipy.stats.ttest_ind(a, b, equal_var=False).pvalue`.
    #[test]
    fn welch_agrees_with_scipy() {
        let cases: [(&[f64], &[f64], f64); 6] = [
            (&[0.9555, 0.9549, 0.9561], &[0.9457, 0.9480, 0.9432], 0.01479781676253479),
            (&[0.97, 0.98], &[0.98, 0.99], 0.2928932188134525),
            (&[0.50, 0.53, 0.51, 0.49, 0.52], &[0.505, 0.515], 1.0),
            (&[0.70, 0.71, 0.72], &[0.80, 0.80, 0.80], 0.004089996689521363),
            (&[1.0, 2.0, 3.0, 4.0, 5.0], &[1000.0, 1001.0, 1000.5], 1.951825895579112e-15),
            (&[0.80, 0.84], &[0.985, 0.987, 0.986], 0.0761191251666186),
        ];
        for (a, b, expected) in cases {
            for p in [welch(a, b).unwrap(), welch(b, a).unwrap()] {
                assert!((p - expected).abs() <= 1e-10 * expected, "{a:?} {b:?}: {p}, not {expected}");
            }
        }
    }

    /// By hand: e = 1 for both lists, so t² = 4/2 with 2 degrees of freedom, whose p is 1 - sqrt(t²/(t²+2)).
    #[test]
    fn two_degrees_of_freedom_have_a_closed_form() {
        let p = welch(&[0.0, 2.0], &[2.0, 4.0]).unwrap();
        assert!((p - (1.0 - (2.0f64 / 4.0).sqrt())).abs() < 1e-12, "{p}");
    }

    #[test]
    fn what_has_no_spread_cannot_be_judged() {
        assert_eq!(welch(&[0.5], &[0.1, 0.2]), None);
        assert_eq!(welch(&[0.1, 0.1, 0.1], &[0.7, 0.7, 0.7]), None);
        assert_eq!(welch(&[f64::NAN, 0.1], &[0.1, 0.2]), None);
    }

    /// 0.01·4, then 0.02·3, then 0.03·2 which may not fall below 0.06, then 0.9·1.
    #[test]
    fn holm_steps_down() {
        let adjusted = holm(&[0.9, 0.01, 0.03, 0.02]);
        for (adjusted, expected) in adjusted.iter().zip([0.9, 0.04, 0.06, 0.06]) {
            assert!((adjusted - expected).abs() < 1e-12, "{adjusted} is not {expected}");
        }
        assert_eq!((holm(&[0.6, 0.7]), holm(&[])), (vec![1.0, 1.0], vec![]));
    }
}
