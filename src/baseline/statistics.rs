//! Means, spreads, and what can be told from them. Knows no metric.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// More values than this are never asked for.
const MOST: u64 = 100_000;

/// The mean; NaN of none.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The sample standard deviation; 0 of one value.
pub fn deviation(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let mean = mean(values);
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (values.len() - 1) as f64).sqrt()
}

/// The standard deviation that two lists have in common, each of them weighing the same.
pub fn common_deviation(one: &[f64], other: &[f64]) -> f64 {
    ((deviation(one).powi(2) + deviation(other).powi(2)) / 2.0).sqrt()
}

/// A list of values in three numbers.
#[derive(Clone, Copy, Debug)]
pub struct Summary {
    /// The mean.
    pub mean: f64,
    /// The sample standard deviation.
    pub deviation: f64,
    /// How many values.
    pub n: u64,
}

impl Summary {
    /// The three numbers of some values.
    pub fn of(values: &[f64]) -> Self {
        Summary { mean: mean(values), deviation: deviation(values), n: values.len() as u64 }
    }

    /// The square of the standard error of the mean.
    fn squared_error(self) -> f64 {
        self.deviation.powi(2) / self.n as f64
    }

    /// Half the width of the confidence interval of the mean, after Student; none of a single value.
    pub fn margin(self, significance: f64) -> Option<f64> {
        let free = self.n.checked_sub(1).filter(|free| *free > 0)?;
        let student = StudentsT::new(0.0, 1.0, free as f64).ok()?;
        Some(student.inverse_cdf(1.0 - significance / 2.0) * self.squared_error().sqrt())
    }
}

/// What Welch's t-test (B. L. Welch, Biometrika 34, 1947) says of two lists.
#[derive(Clone, Copy, Debug)]
pub struct Welch {
    /// The two-sided p-value of equal means.
    pub p: f64,
    error: f64,
    student: StudentsT,
}

impl Welch {
    /// The test; none where it is not defined: less than two values in a list, no spread beyond rounding in either, or
    /// numbers that are not finite.
    pub fn test(one: &[f64], other: &[f64]) -> Option<Self> {
        if one.len() < 2 || other.len() < 2 {
            return None;
        }
        Welch::of(Summary::of(one), Summary::of(other))
    }

    /// The test of two lists of which this is known; none where it is not defined.
    pub fn of(one: Summary, other: Summary) -> Option<Self> {
        if one.n < 2 || other.n < 2 {
            return None;
        }
        let (first, second) = (one.squared_error(), other.squared_error());
        let error = (first + second).sqrt();
        let rounding = f64::EPSILON * one.mean.abs().max(other.mean.abs());
        if !(error > rounding && error.is_finite()) {
            return None;
        }
        let within = first.powi(2) / (one.n - 1) as f64 + second.powi(2) / (other.n - 1) as f64;
        let student = StudentsT::new(0.0, 1.0, (first + second).powi(2) / within).ok()?;
        let t = (one.mean - other.mean).abs() / error;
        let p = (2.0 * student.sf(t)).clamp(0.0, 1.0);
        p.is_finite().then_some(Welch { p, error, student })
    }

    /// Half the width of the confidence interval of the difference of means.
    pub fn margin(&self, significance: f64) -> f64 {
        self.student.inverse_cdf(1.0 - significance / 2.0) * self.error
    }
}

/// p-values of one family of tests after Holm (Scandinavian Journal of Statistics 6, 1979), in their order.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<(usize, f64)> = p.iter().copied().enumerate().collect();
    order.sort_by(|(_, one), (_, other)| one.total_cmp(other));
    let mut floor: f64 = 0.0;
    let mut adjusted: Vec<(usize, f64)> = Vec::with_capacity(p.len());
    for (rank, (index, value)) in order.into_iter().enumerate() {
        floor = floor.max((p.len() - rank) as f64 * value).min(1.0);
        adjusted.push((index, floor));
    }
    adjusted.sort_by_key(|(index, _)| *index);
    adjusted.into_iter().map(|(_, p)| p).collect()
}

/// How many values on each side let a two-sided t-test find a difference of means of this size with this power. None where
/// no reasonable number is enough.
pub fn enough(effect: f64, deviation: f64, significance: f64, power: f64) -> Option<u64> {
    if !(effect > 0.0 && deviation > 0.0 && effect.is_finite() && deviation.is_finite()) {
        return None;
    }
    let needed = |n: u64| {
        let student = StudentsT::new(0.0, 1.0, (2 * n - 2) as f64).ok()?;
        let sum = student.inverse_cdf(1.0 - significance / 2.0) + student.inverse_cdf(power);
        Some(2.0 * (sum * deviation / effect).powi(2))
    };
    // The quantiles fall with n, so that the first n that reaches what it needs is the smallest; and none below what
    // the most it may have needs is enough.
    let least = needed(MOST)?;
    if least.is_nan() || least > MOST as f64 {
        return None;
    }
    let from = (least.floor() as u64).clamp(3, MOST);
    (from..=MOST).find(|n| needed(*n).is_some_and(|needed| needed <= *n as f64))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// p-values of scipy 1.17.1, `scipy.stats.ttest_ind(a, b, equal_var=False).pvalue`.
    #[test]
    fn the_test_agrees_with_scipy() {
        let cases: [(&[f64], &[f64], f64); 4] = [
            (&[0.9555, 0.9549, 0.9561], &[0.9457, 0.9480, 0.9432], 0.01479781676253479),
            (&[0.97, 0.98], &[0.98, 0.99], 0.2928932188134525),
            (&[0.70, 0.71, 0.72], &[0.80, 0.80, 0.80], 0.004089996689521363),
            (&[0.80, 0.84], &[0.985, 0.987, 0.986], 0.0761191251666186),
        ];
        for (one, other, expected) in cases {
            let p = Welch::test(one, other).unwrap().p;
            assert!((p - expected).abs() <= 1e-8 * expected.max(1e-3), "{one:?} {other:?}: {p}, not {expected}");
        }
        assert!(Welch::test(&[0.1, 0.1, 0.1], &[0.7, 0.7, 0.7]).is_none(), "no spread");
        assert!(Welch::test(&[0.1], &[0.7, 0.8]).is_none() && Welch::test(&[f64::NAN, 1.0], &[0.7, 0.8]).is_none());
    }

    /// Two lists with e = 1 each have two degrees of freedom, whose 97.5 % quantile is 4.302653.
    #[test]
    fn the_margin_is_that_of_the_confidence_interval() {
        let margin = Welch::test(&[0.0, 2.0], &[2.0, 4.0]).unwrap().margin(0.05);
        assert!((margin - 4.302_653 * 2.0f64.sqrt()).abs() < 1e-4, "{margin}");
    }

    /// Textbook sizes for a power of 80 % at 5 %: effects of 1, 0.8, 0.5 and 0.2 deviations need 17, 26, 64 and 394.
    #[test]
    fn sizes_of_samples_are_the_textbooks() {
        for (effect, expected) in [(1.0, 17), (0.8, 26), (0.5, 64), (0.2, 394)] {
            assert_eq!(enough(effect, 1.0, 0.05, 0.8), Some(expected), "{effect}");
        }
        assert_eq!(enough(100.0, 1.0, 0.05, 0.8), Some(3), "a test needs three");
        for (effect, deviation) in [(0.0, 1.0), (1e-9, 1.0), (1.0, f64::NAN), (f64::INFINITY, 1.0)] {
            assert_eq!(enough(effect, deviation, 0.05, 0.8), None);
        }
    }

    #[test]
    fn holm_multiplies_by_how_many_are_left() {
        let adjusted = holm(&[0.04, 0.01, 0.03]);
        for (got, wanted) in adjusted.iter().zip([0.06, 0.03, 0.06]) {
            assert!((got - wanted).abs() < 1e-12, "{adjusted:?}");
        }
        assert!(holm(&[]).is_empty());
    }
}
