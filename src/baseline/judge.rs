//! The verdict on one metric: a function of the values then and now. Knows no pipeline and no file.

use super::statistics::{Welch, common_deviation, enough, mean};
use super::{Entry, Rules};
use ddpipe_interface::metric::{Better, Metric};
use serde::Serialize;

/// A test needs so many values on both sides.
pub const TESTED: usize = 3;
/// Differences between times below this many seconds tell nothing.
const SHORTEST: f64 = 1.0;

/// What became of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is worse than the baseline.
    Worse,
    /// The values do not tell.
    CannotSay,
    /// It is better than the baseline.
    Better,
    /// It is as good as the baseline.
    Same,
}

/// A verdict with what led to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    pub verdict: Verdict,
    pub why: String,
    pub p: Option<f64>,
    pub enough: Option<u64>,
}

impl Judged {
    pub fn plain(verdict: Verdict, why: impl Into<String>) -> Self {
        Judged { verdict, why: why.into(), p: None, enough: None }
    }
}

/// The values of one metric, then and now.
pub struct Case<'a> {
    pub was: &'a Entry,
    pub now: &'a Entry,
    pub metric: &'a Metric,
    pub better: Better,
    pub rules: Rules,
}

impl Case<'_> {
    /// The test that decides, where one does.
    pub fn test(&self) -> Option<Welch> {
        let (was, now) = (&self.was.values, &self.now.values);
        let plain = self.was.measured || self.now.measured || was.len().min(now.len()) < TESTED || same(was, now);
        if plain { None } else { Welch::test(was, now) }
    }

    /// The verdict. `p` is that of [`Case::test`] after the correction for the other tests, of which there are `tests`.
    pub fn judge(&self, test: Option<(Welch, f64)>, tests: usize) -> Judged {
        let (was, now) = (&self.was.values, &self.now.values);
        if same(was, now) {
            return Judged::plain(Verdict::Same, "the same values");
        }
        match (was.iter().all(|value| value.is_finite()), now.iter().all(|value| value.is_finite())) {
            (true, true) => {}
            (true, false) => return Judged::plain(Verdict::Worse, "not finite any more"),
            (false, _) => return Judged::plain(Verdict::CannotSay, "the baseline has values that are not finite"),
        }
        if self.was.measured || self.now.measured {
            return self.by_ratio();
        }
        match test {
            Some((test, p)) => self.by_test(test, p, tests),
            None => self.by_tolerance(),
        }
    }

    fn difference(&self) -> f64 {
        mean(&self.now.values) - mean(&self.was.values)
    }

    fn tolerance(&self) -> f64 {
        self.was.within.unwrap_or_else(|| self.rules.tolerance * mean(&self.was.values).abs())
    }

    fn direction(&self, increase: f64) -> Verdict {
        match (increase > 0.0, self.better) {
            (true, Better::Higher) | (false, Better::Lower) => Verdict::Better,
            (true, Better::Lower) | (false, Better::Higher) => Verdict::Worse,
        }
    }

    fn by_test(&self, test: Welch, p: f64, tests: usize) -> Judged {
        let (difference, tolerance) = (self.difference(), self.tolerance());
        let of = |verdict, why: String| Judged { verdict, why, p: Some(p), enough: None };
        if p < self.rules.significance {
            if difference.abs() <= tolerance {
                return of(Verdict::Same, format!("p {p:.2e}, but within the tolerance of {tolerance:.4}"));
            }
            return of(self.direction(difference), format!("p {p:.2e}"));
        }
        if difference.abs() + test.margin(self.rules.significance) <= tolerance {
            return of(Verdict::Same, format!("within the tolerance of {tolerance:.4} for certain"));
        }
        let effect = difference.abs().max(tolerance);
        let deviation = common_deviation(&self.was.values, &self.now.values);
        let enough = enough(effect, deviation, self.rules.significance / tests.max(1) as f64, self.rules.power);
        let why = match enough {
            Some(n) => format!("p {p:.2}; {n} values on each side would be enough for a difference of {effect:.4}"),
            None => format!("p {p:.2}; no number of values would be enough"),
        };
        Judged { verdict: Verdict::CannotSay, why, p: Some(p), enough }
    }

    /// Too few values for a test, or values without any spread.
    fn by_tolerance(&self) -> Judged {
        let (difference, tolerance) = (self.difference(), self.tolerance());
        if difference.abs() <= tolerance {
            Judged::plain(Verdict::Same, format!("within the tolerance of {tolerance:.4}"))
        } else {
            let why = format!("beyond the tolerance of {tolerance:.4}, without a test");
            Judged::plain(self.direction(difference), why)
        }
    }

    fn by_ratio(&self) -> Judged {
        let (Some(then), Some(here)) = (&self.was.hardware, &self.now.hardware) else {
            return Judged::plain(Verdict::CannotSay, "it is not known on which hardware it was measured");
        };
        if then != here {
            return Judged::plain(Verdict::CannotSay, format!("measured on other hardware: {then}; now {here}"));
        }
        let (was, now) = (mean(&self.was.values), mean(&self.now.values));
        if self.metric.unit.as_deref() == Some("seconds") && was.max(now) < SHORTEST {
            return Judged::plain(Verdict::Same, format!("below {SHORTEST} s"));
        }
        if !(was > 0.0 && now > 0.0) {
            return Judged::plain(Verdict::CannotSay, "a ratio needs numbers above 0");
        }
        let (ratio, bound) = (now / was, self.rules.ratio);
        let why = format!("{ratio:.2} times the baseline, up to {bound} is accepted");
        if ratio > bound || ratio < 1.0 / bound {
            Judged::plain(self.direction(ratio - 1.0), why)
        } else {
            Judged::plain(Verdict::Same, why)
        }
    }
}

/// Whether both are the same values, in whatever order.
fn same(one: &[f64], other: &[f64]) -> bool {
    let sorted = |values: &[f64]| {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        values.into_iter().map(f64::to_bits).collect::<Vec<u64>>()
    };
    sorted(one) == sorted(other)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn entry(values: &[f64], hardware: Option<&str>) -> Entry {
        Entry {
            node: "evaluate".into(),
            metric: "accuracy".into(),
            measured: hardware.is_some(),
            within: None,
            values: values.to_vec(),
            numerics: None,
            hardware: hardware.map(String::from),
        }
    }

    fn metric(unit: &str) -> Metric {
        Metric {
            help: String::new(),
            unit: Some(unit.into()),
            better: None,
            measured: false,
            headline: false,
            spread: None,
        }
    }

    fn judged(was: &Entry, now: &Entry, better: Better, unit: &str) -> Judged {
        let rules = Rules { tolerance: 0.02, ..Rules::default() };
        let case = Case { was, now, metric: &metric(unit), better, rules };
        let test = case.test();
        case.judge(test.map(|test| (test, test.p)), 1)
    }

    fn accuracies(was: &[f64], now: &[f64]) -> Judged {
        judged(&entry(was, None), &entry(now, None), Better::Higher, "share")
    }

    #[test]
    fn three_values_on_both_sides_are_tested() {
        let was = [0.80, 0.81, 0.82];
        assert_eq!(accuracies(&was, &[0.70, 0.71, 0.72]).verdict, Verdict::Worse);
        assert_eq!(accuracies(&was, &[0.90, 0.91, 0.92]).verdict, Verdict::Better);
        assert_eq!(accuracies(&was, &[0.82, 0.80, 0.81]).why, "the same values");
        let unclear = accuracies(&was, &[0.75, 0.80, 0.83]);
        assert_eq!(unclear.verdict, Verdict::CannotSay);
        assert!(unclear.enough.unwrap() > 3 && unclear.p.unwrap() > 0.05, "{unclear:?}");
        let close = accuracies(&[0.8001, 0.8, 0.8002], &[0.8003, 0.8001, 0.8]);
        assert_eq!(close.verdict, Verdict::Same, "{close:?}");
        // Found for certain, and of no importance.
        let tiny = accuracies(&[0.80001, 0.8, 0.80002], &[0.79901, 0.799, 0.79902]);
        assert!(tiny.verdict == Verdict::Same && tiny.p.unwrap() < 0.05, "{tiny:?}");
    }

    #[test]
    fn fewer_values_go_by_the_tolerance_and_values_without_spread_too() {
        assert_eq!(accuracies(&[0.80], &[0.79]).verdict, Verdict::Same);
        assert_eq!(accuracies(&[0.80], &[0.70]).verdict, Verdict::Worse);
        assert_eq!(accuracies(&[0.80, 0.81], &[0.90, 0.91, 0.92]).verdict, Verdict::Better);
        assert_eq!(accuracies(&[5.0; 3], &[6.0; 3]).verdict, Verdict::Better);
        let mut was = entry(&[0.8], None);
        was.within = Some(0.2);
        assert_eq!(judged(&was, &entry(&[0.7], None), Better::Higher, "share").verdict, Verdict::Same);
    }

    #[test]
    fn lower_may_be_better_and_what_is_not_finite_is_worse() {
        let loss = |was: &[f64], now: &[f64]| judged(&entry(was, None), &entry(now, None), Better::Lower, "").verdict;
        assert_eq!(loss(&[1.0], &[0.5]), Verdict::Better);
        assert_eq!(loss(&[1.0], &[1.5]), Verdict::Worse);
        assert_eq!(loss(&[1.0, 1.1, 1.2], &[1.0, f64::NAN, 1.2]), Verdict::Worse);
        assert_eq!(loss(&[f64::INFINITY], &[1.0]), Verdict::CannotSay);
    }

    #[test]
    fn times_go_by_their_ratio_on_equal_hardware_only() {
        let seconds = |was: f64, now: f64, here: &str| {
            judged(&entry(&[was], Some("one")), &entry(&[now], Some(here)), Better::Lower, "seconds").verdict
        };
        assert_eq!(seconds(10.0, 14.0, "one"), Verdict::Same);
        assert_eq!(seconds(10.0, 16.0, "one"), Verdict::Worse);
        assert_eq!(seconds(10.0, 5.0, "one"), Verdict::Better);
        assert_eq!(seconds(10.0, 50.0, "another"), Verdict::CannotSay);
        assert_eq!(seconds(0.01, 0.9, "one"), Verdict::Same);
    }
}
