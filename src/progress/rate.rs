//! How fast a stage is: the steps that were made in the last seconds, seen from the first one that was really made now. A
//! continued stage begins far from 0, and steps that were made while nobody looked (a stopped process) come all at once:
//! neither is speed.

use std::collections::VecDeque;
use std::time::Duration;

/// How far back steps count.
const WINDOW: Duration = Duration::from_secs(30);
/// For so long after the first step a later one takes its place: what had piled up comes then.
const SETTLING: Duration = Duration::from_millis(300);
/// Below this a rate is a guess.
const SHORTEST: Duration = Duration::from_millis(500);

/// Steps and when they came, on a clock that begins anywhere.
#[derive(Debug, Default)]
pub struct Rate {
    steps: VecDeque<(Duration, u64)>,
    since: Option<Duration>,
}

impl Rate {
    /// A step was made.
    pub fn note(&mut self, at: Duration, step: u64) {
        if self.steps.back().is_some_and(|(_, last)| step < *last) {
            self.forget();
        }
        let since = *self.since.get_or_insert(at);
        if at < since + SETTLING {
            self.steps.clear();
        }
        self.steps.push_back((at, step));
        while self.steps.len() > 2 && self.steps.front().is_some_and(|(first, _)| *first + WINDOW < at) {
            self.steps.pop_front();
        }
    }

    /// What was is no measure of what comes: the process was stopped for a while.
    pub fn forget(&mut self) {
        *self = Rate::default();
    }

    /// Steps per second, where they can be told by now.
    pub fn per_second(&self, now: Duration) -> Option<f64> {
        let ((first, from), (last, to)) = (*self.steps.front()?, *self.steps.back()?);
        let (steps, span) = (to.checked_sub(from)?, last.checked_sub(first)?);
        if steps == 0 || span < SHORTEST {
            return None;
        }
        // A stage that has become slow must not seem fast until its next step.
        let silent = now.saturating_sub(last);
        let late = silent.as_secs_f64() > 2.0 * span.as_secs_f64() / steps as f64 + 1.0;
        let span = if late { span + silent } else { span };
        Some(steps as f64 / span.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn steps_that_were_made_before_do_not_count() {
        let mut rate = Rate::default();
        rate.note(at(5.0), 94);
        rate.note(at(5.1), 110);
        assert_eq!(rate.per_second(at(5.1)), None);
        (0..=20).for_each(|second| rate.note(at(6.0 + f64::from(second)), 116 + 6 * second as u64));
        let found = rate.per_second(at(26.0)).unwrap();
        assert!((5.9..6.4).contains(&found), "{found}");
    }

    #[test]
    fn the_last_seconds_count_and_a_pause_does_not() {
        let mut rate = Rate::default();
        (0..60).for_each(|second| rate.note(at(f64::from(second)), 100 * second as u64));
        (60..120).for_each(|second| rate.note(at(f64::from(second)), 5900 + second as u64 - 59));
        assert!((rate.per_second(at(119.0)).unwrap() - 1.0).abs() < 0.01);
        // Stopped, continued; what had piled up comes at once.
        rate.forget();
        rate.note(at(500.0), 6100);
        rate.note(at(500.01), 6200);
        rate.note(at(501.0), 6202);
        rate.note(at(502.0), 6204);
        assert!((rate.per_second(at(502.0)).unwrap() - 2.0).abs() < 0.1);
        // No step for a minute.
        assert!(rate.per_second(at(562.0)).unwrap() < 0.1);
    }

    #[test]
    fn a_stage_that_starts_over_has_no_rate_yet() {
        let mut rate = Rate::default();
        (0..5).for_each(|second| rate.note(at(f64::from(second)), second as u64));
        rate.note(at(6.0), 1);
        assert_eq!(rate.per_second(at(6.0)), None);
    }
}
