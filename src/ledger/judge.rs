//! The verdict on one figure: a function of the figure, of what was measured, and of in what the two differ. Knows no
//! pipeline and no record.

use super::{Difference, Measured, Verdict};
use crate::baseline::statistics::{Summary, Welch};
use crate::published::Figure;
use ddpipe_interface::metric::Better;

/// The margin of a share, where nothing else is said; of other metrics it is this share of the figure.
pub const DEFAULT_MARGIN: f64 = 0.01;

/// The chance that the interval of a difference misses it.
const SIGNIFICANCE: f64 = 0.05;

/// So many reasons are named.
const NAMED: usize = 3;

/// What is to be judged.
pub struct Case<'a> {
    pub figure: &'a Figure,
    pub measured: Option<&'a Measured>,
    pub better: Option<Better>,
    pub unit: Option<&'a str>,
    /// The margin that the figure or the user states.
    pub margin: Option<f64>,
    /// In what the measured quantity is another one.
    pub other: &'a [String],
}

/// A verdict with what led to it.
pub struct Judged {
    pub verdict: Verdict,
    pub difference: Option<Difference>,
    pub margin: Option<f64>,
    pub why: String,
}

/// Judges one figure.
pub fn judge(case: &Case<'_>) -> Judged {
    let Some(value) = case.figure.value else {
        let verdict = if case.measured.is_some() { Verdict::NothingPublished } else { Verdict::NotRun };
        return Judged { verdict, difference: None, margin: None, why: String::new() };
    };
    let usual = if case.unit == Some("share") { DEFAULT_MARGIN } else { DEFAULT_MARGIN * value.abs() };
    let margin = case.margin.unwrap_or(usual);
    let Some(measured) = case.measured else {
        return Judged { verdict: Verdict::NotRun, difference: None, margin: Some(margin), why: String::new() };
    };
    let interval = interval(case.figure, value, measured);
    let difference = Difference { value: measured.mean - value, interval };
    let (verdict, why) = match case.other {
        [] => verdict(difference, margin, case.better),
        reasons => (Verdict::OtherProtocol, named(reasons)),
    };
    // JSON has no NaN.
    let difference = Some(difference).filter(|difference| difference.value.is_finite());
    Judged { verdict, difference, margin: Some(margin), why }
}

/// The 95 % interval of the difference: by Welch where the figure has a deviation of so many values, else by Student, with the
/// figure taken as it is.
fn interval(figure: &Figure, value: f64, measured: &Measured) -> Option<[f64; 2]> {
    let ours = Summary { mean: measured.mean, deviation: measured.deviation?, n: measured.n };
    let theirs = figure.std.zip(figure.n).map(|(deviation, n)| Summary { mean: value, deviation, n });
    let welch = theirs.and_then(|theirs| Welch::of(ours, theirs)).map(|test| test.margin(SIGNIFICANCE));
    let half = welch.or_else(|| ours.margin(SIGNIFICANCE))?;
    let difference = measured.mean - value;
    Some([difference - half, difference + half]).filter(|ends| ends.iter().all(|end| end.is_finite()))
}

fn verdict(difference: Difference, margin: f64, better: Option<Better>) -> (Verdict, String) {
    if !difference.value.is_finite() {
        return (Verdict::NotReproduced, "what was measured is not a finite number".into());
    }
    let Some([low, high]) = difference.interval else {
        return (Verdict::CannotSay, "a single value has no interval".into());
    };
    // By how much it falls short, at best and at worst.
    let (least, most) = match better {
        Some(Better::Higher) => (-high, -low),
        Some(Better::Lower) => (low, high),
        None if low <= 0.0 && high >= 0.0 => (0.0, low.abs().max(high.abs())),
        None => (low.abs().min(high.abs()), low.abs().max(high.abs())),
    };
    if most <= margin {
        (Verdict::Reproduced, if least < -margin { "it is better than the figure".into() } else { String::new() })
    } else if least > margin {
        (Verdict::NotReproduced, String::new())
    } else {
        (Verdict::CannotSay, "the interval holds the margin".into())
    }
}

/// The first reasons, and how many more there are.
fn named(reasons: &[String]) -> String {
    let shown = reasons.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join("; ");
    match reasons.len().checked_sub(NAMED).filter(|more| *more > 0) {
        Some(more) => format!("{shown}; and {more} more"),
        None => shown,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::published::Sure;

    fn judged(mean: f64, deviation: Option<f64>, n: u64, other: &[String], std: Option<(f64, u64)>) -> Judged {
        let (std, of) = std.unzip();
        let (source, sure, protocol, differs) = ("s".to_string(), Sure::Read, None, None);
        let figure = Figure { value: Some(0.90), std, n: of, source, sure, protocol, differs };
        let (records, hardware, commits) = (Vec::new(), Vec::new(), Vec::new());
        let measured = Measured { mean, deviation, n, over: None, records, seconds: 0.0, hardware, commits };
        let (better, unit) = (Some(Better::Higher), Some("share"));
        judge(&Case { figure: &figure, measured: Some(&measured), better, unit, margin: None, other })
    }

    #[test]
    fn a_figure_is_reproduced_where_the_whole_interval_is_within_the_margin() {
        for (mean, deviation, verdict) in [
            (0.905, 0.002, Verdict::Reproduced),
            (0.960, 0.002, Verdict::Reproduced),
            (0.880, 0.002, Verdict::NotReproduced),
            (0.890, 0.002, Verdict::CannotSay),
            (0.905, 0.050, Verdict::CannotSay),
            (f64::NAN, 0.0, Verdict::NotReproduced),
        ] {
            assert_eq!(judged(mean, Some(deviation), 5, &[], None).verdict, verdict, "{mean} {deviation}");
        }
        assert_eq!(judged(0.905, None, 1, &[], None).verdict, Verdict::CannotSay);
        assert_eq!(judged(0.905, Some(0.0), 5, &["x".into()], None).verdict, Verdict::OtherProtocol);
    }

    /// Five values with a deviation of 0.002: t(0.975, 4) = 2.776445, so that the half is 2.776445 * 0.002 / sqrt 5.
    #[test]
    fn the_interval_is_students_and_welchs_where_the_figure_has_a_spread() {
        let [low, high] = judged(0.905, Some(0.002), 5, &[], None).difference.unwrap().interval.unwrap();
        assert!(((high - low) / 2.0 - 0.002_483_328).abs() < 1e-8, "{low} {high}");
        // From the t quantile: two samples alike have 8 degrees of freedom, t = 2.306004, and sqrt 2 times the error.
        let [low, high] = judged(0.905, Some(0.002), 5, &[], Some((0.002, 5))).difference.unwrap().interval.unwrap();
        assert!(((high - low) / 2.0 - 0.002_916_891).abs() < 1e-8, "{low} {high}");
    }
}
