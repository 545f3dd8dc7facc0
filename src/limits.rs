//! What the manifest allows a stage: how long it may take, and how often it may be tried again. Neither enters its key:
//! they decide whether a result comes about, not what it is.

use ddpipe_interface::protocol::Cause;
use std::time::Duration;

/// The limits of one stage.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// How long an attempt may take; none leaves it to `--timeout`.
    pub timeout: Option<Duration>,
    /// When the stage is tried again after a failure.
    pub retries: Retries,
}

/// When a stage is tried again after a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retries {
    /// How many further attempts it has.
    pub times: u32,
    /// The failures that it is tried again after.
    pub on: Vec<Trouble>,
}

/// A failure that a stage may be tried again after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Any failure of this cause.
    Cause(Cause),
    /// The stage's program ended with this exit status.
    Exit(i32),
}

/// The causes that `retries` may name: those that another attempt may not meet.
pub const RETRIED: [Cause; 6] =
    [Cause::WorkerDied, Cause::OutOfMemory, Cause::Store, Cause::Timeout, Cause::Error, Cause::Panic];

/// `EX_TEMPFAIL` of `sysexits.h`: a program asks to be tried again later.
const TRY_AGAIN: i32 = 75;

impl Default for Retries {
    fn default() -> Self {
        Retries::of(0)
    }
}

impl Retries {
    /// So many further attempts, after failures that come from outside the stage: its worker died, memory ran out, or
    /// its program ended with status 75.
    pub fn of(times: u32) -> Self {
        let causes = [Cause::WorkerDied, Cause::OutOfMemory].map(Trouble::Cause);
        Retries { times, on: causes.into_iter().chain([Trouble::Exit(TRY_AGAIN)]).collect() }
    }

    /// Whether a stage is tried again after this failure, its `failed`th.
    pub fn allow(&self, failed: u32, cause: Cause, message: &str) -> bool {
        let exit = exit_status(message);
        let met = |trouble: &Trouble| match trouble {
            Trouble::Cause(named) => *named == cause,
            Trouble::Exit(status) => exit == Some(*status),
        };
        failed <= self.times && self.on.iter().any(met)
    }
}

/// The exit status of a stage's program, from the words of its failure: `python3 exited with status 75: …`.
fn exit_status(message: &str) -> Option<i32> {
    let (_, rest) = message.split_once(" exited with status ")?;
    let digits = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok()
}

/// Reads `"2h"`, `"90 min"`, `"30s"`, `"1h 30min"`, or a number of seconds.
///
/// # Errors
/// What is expected, in words.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let expected = || format!("{text:?} is no length of time: write seconds, or 30s, 90min, 2h, 1d, 1h 30min");
    let mut seconds = 0.0;
    let mut rest = text.trim();
    if let Ok(plain) = rest.parse::<f64>() {
        return duration(plain).ok_or_else(expected);
    }
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(rest.len());
        let number: f64 = rest[..end].parse().map_err(|_| expected())?;
        rest = rest[end..].trim_start();
        let end = rest.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(rest.len());
        let unit = match &rest[..end] {
            "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            "d" => 86400.0,
            _ => return Err(expected()),
        };
        seconds += number * unit;
        rest = rest[end..].trim_start();
    }
    duration(seconds).ok_or_else(expected)
}

/// A length of time above 0 and at most a thousand years.
pub fn duration(seconds: f64) -> Option<Duration> {
    let sensible = seconds > 0.0 && seconds < 3.2e10;
    sensible.then(|| Duration::try_from_secs_f64(seconds).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_and_others_refused() {
        let seconds = |text| parse_duration(text).map(|duration| duration.as_secs_f64());
        for (text, expected) in
            [("90", 90.0), ("0.5", 0.5), ("2h", 7200.0), ("90 min", 5400.0), ("1h 30min", 5400.0), ("1d", 86400.0)]
        {
            assert_eq!(seconds(text), Ok(expected), "{text}");
        }
        for text in ["", "0", "-1", "2 weeks", "h", "1e99", "nan", "inf", "2h3"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn retries_are_counted_and_are_for_the_named_failures_only() {
        let twice = Retries::of(2);
        assert!(twice.allow(2, Cause::WorkerDied, "") && !twice.allow(3, Cause::WorkerDied, ""));
        assert!(!twice.allow(1, Cause::Error, "own.count: python3 exited with status 7: last words"));
        assert!(twice.allow(1, Cause::Error, "own.count: python3 exited with status 75: last words"));
        assert!(!Retries::default().allow(1, Cause::WorkerDied, ""));
        let on = Retries { times: 1, on: vec![Trouble::Exit(7), Trouble::Cause(Cause::Timeout)] };
        assert!(on.allow(1, Cause::Error, "x exited with status 7") && on.allow(1, Cause::Timeout, "too long"));
        assert!(!on.allow(1, Cause::Error, "x exited with status 75") && !on.allow(1, Cause::WorkerDied, ""));
    }
}
