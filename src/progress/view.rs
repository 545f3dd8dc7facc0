//! What is known of a run while it goes on: how far it is, what runs, how fast, and how long it will take. Fed by events and
//! by a clock that begins with the run; `layout` shows it. Pure.

use super::rate::Rate;
use crate::event::{Event, Status};
use indexmap::IndexMap;
use std::time::Duration;

/// A clock that was not looked at for so long belongs to a process that was stopped.
const STOPPED: Duration = Duration::from_secs(3);

/// A run at one moment.
#[derive(Debug, Default)]
pub struct View {
    /// The pipeline, as soon as the run has begun.
    pub begun: Option<Begun>,
    /// What runs, in the order in which it started.
    pub running: IndexMap<String, Stage>,
    /// Files on their way: bytes so far, and bytes in all.
    pub downloads: IndexMap<String, (u64, Option<u64>)>,
    /// Seconds that the nodes without an outcome are expected to take.
    expected: IndexMap<String, Option<f64>>,
    /// Seconds that the nodes of a stage took in this run, and how many they are.
    took: IndexMap<String, (f64, u32)>,
    jobs: usize,
    finished: usize,
    fresh: usize,
    now: Duration,
}

/// What the run said when it began.
#[derive(Debug)]
pub struct Begun {
    /// The pipeline's name.
    pub pipeline: String,
    /// The run.
    pub run: String,
    /// Its nodes.
    pub nodes: usize,
    /// Those that were on record already.
    pub fresh: usize,
}

/// A stage at work.
#[derive(Debug, Default)]
pub struct Stage {
    /// When it started.
    pub since: Duration,
    /// Step, steps in all, and when the last one came.
    pub steps: Option<(u64, u64, Duration)>,
    /// What a step is.
    pub unit: String,
    /// The loss.
    pub loss: Option<f64>,
    rate: Rate,
}

/// How long something will take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Left {
    /// About so many seconds.
    About(f64),
    /// So many seconds and what nothing is known of.
    AtLeast(f64),
    /// Nothing is known.
    Unknown,
}

impl View {
    /// The clock goes on. After a pause no rate is known any more.
    pub fn tick(&mut self, now: Duration) {
        if now.saturating_sub(self.now) > STOPPED {
            self.running.values_mut().for_each(|stage| stage.rate.forget());
        }
        self.now = now;
    }

    /// Something happened.
    pub fn note(&mut self, event: &Event, now: Duration) {
        self.tick(now);
        match event {
            Event::Begun { pipeline, run, nodes, fresh } => {
                let (pipeline, run) = (pipeline.clone(), run.clone());
                self.begun = Some(Begun { pipeline, run, nodes: *nodes, fresh: *fresh });
            }
            Event::Expected { jobs, seconds } => {
                self.jobs = *jobs;
                self.expected = seconds.clone();
            }
            Event::Started { node, .. } => {
                self.running.insert(node.clone(), Stage { since: now, ..Stage::default() });
            }
            Event::Progress { node, step, total, loss, unit } => {
                let stage = self.running.entry(node.clone()).or_default();
                stage.steps = Some((*step, *total, now));
                stage.unit.clone_from(unit);
                stage.loss = loss.or(stage.loss);
                stage.rate.note(now, *step);
            }
            Event::Retried { node, .. } => {
                self.running.shift_remove(node);
            }
            Event::Download { file, done, total } if Some(*done) == *total => {
                self.downloads.shift_remove(file);
            }
            Event::Download { file, done, total } => {
                self.downloads.insert(file.clone(), (*done, *total));
            }
            Event::Finished(outcome) => {
                self.running.shift_remove(&outcome.node);
                self.expected.swap_remove(&outcome.node);
                self.finished += 1;
                if outcome.status == Status::Ran {
                    let (seconds, count) = self.took.entry(stage_of(&outcome.node).to_string()).or_default();
                    (*seconds, *count) = (*seconds + outcome.seconds, *count + 1);
                }
                self.fresh += usize::from(outcome.status == Status::Fresh);
            }
            _ => {}
        }
    }

    /// Nodes that this run has dealt with, of those that were not on record when it began.
    pub fn done(&self) -> (usize, usize) {
        let Some(begun) = &self.begun else { return (0, 0) };
        let done = self.finished - self.fresh.min(begun.fresh);
        // A search may have asked for more.
        (done, begun.nodes.saturating_sub(begun.fresh).max(done + self.running.len()))
    }

    /// How long the run goes on: the running stages at their rate, the waiting ones as expected, shared among the slots.
    pub fn left(&self) -> Left {
        let (mut sum, mut longest, mut known, mut unknown) = (0.0, 0.0f64, false, false);
        for (node, expected) in &self.expected {
            // Where nothing is on record, others of its stage have shown it by now.
            let others = || self.took.get(stage_of(node)).map(|(seconds, count)| seconds / f64::from(*count));
            let expected = expected.or_else(others);
            let seconds = match self.running.get(node) {
                Some(stage) => stage.left(self.now, expected),
                None => expected,
            };
            match seconds {
                Some(seconds) => {
                    sum += seconds;
                    longest = longest.max(seconds);
                    known |= seconds > 0.0;
                }
                None => unknown = true,
            }
        }
        let seconds = longest.max(sum / self.jobs.max(1) as f64);
        match (known, unknown) {
            (true, false) => Left::About(seconds),
            (true, true) => Left::AtLeast(seconds),
            (false, _) => Left::Unknown,
        }
    }

    /// The time since the clock began.
    pub fn now(&self) -> Duration {
        self.now
    }
}

/// The stage of a node: what its address begins with.
fn stage_of(node: &str) -> &str {
    node.split('[').next().unwrap_or(node)
}

impl Stage {
    /// Steps per second.
    pub fn per_second(&self, now: Duration) -> Option<f64> {
        self.rate.per_second(now)
    }

    /// Whether all its steps are made, and since when: it evaluates or writes what it made.
    pub fn finishing(&self) -> Option<Duration> {
        self.steps.filter(|(step, total, _)| step >= total).map(|(.., last)| last)
    }

    /// Seconds that it will take: at its rate, or else as expected; none when neither is known.
    pub fn left(&self, now: Duration, expected: Option<f64>) -> Option<f64> {
        let by_rate = self.steps.zip(self.per_second(now)).map(|((step, total, last), rate)| {
            let since = now.saturating_sub(last).as_secs_f64();
            (total.saturating_sub(step) as f64 / rate - since).max(0.0)
        });
        if self.finishing().is_some() {
            return Some(0.0);
        }
        let ran = now.saturating_sub(self.since).as_secs_f64();
        by_rate.or_else(|| expected.map(|seconds| seconds - ran).filter(|left| *left > 0.0))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::layout::tests::{at, begun, expected, finished, progress, started};
    use super::*;

    #[test]
    fn the_counter_counts_what_was_not_on_record() {
        let mut view = View::default();
        view.note(&begun(36, 4), at(0.0));
        (0..4).for_each(|_| view.note(&finished("old", Status::Fresh), at(0.1)));
        assert_eq!(view.done(), (0, 32));
        view.note(&started("a"), at(0.2));
        view.note(&finished("a", Status::Ran), at(3.0));
        // One that waited turned out to be on record.
        view.note(&finished("b", Status::Fresh), at(3.0));
        assert_eq!(view.done(), (2, 32));
    }

    #[test]
    fn the_time_left_is_that_of_all_nodes_shared_among_the_jobs() {
        let mut view = View::default();
        view.note(&begun(5, 0), at(0.0));
        assert_eq!(view.left(), Left::Unknown);
        view.note(&expected(2, &[("a", Some(30.0)), ("b", Some(10.0)), ("c", Some(20.0))]), at(0.0));
        assert_eq!(view.left(), Left::About(30.0));
        view.note(&started("a"), at(0.0));
        // Its own rate counts more than what was expected: 10 of 100 steps in 10 seconds.
        (0..=10).for_each(|second| view.note(&progress("a", second, 100, "steps"), at(second as f64)));
        assert_eq!(view.left(), Left::About(90.0));
        view.note(&expected(2, &[("a", None), ("b", None), ("c", Some(20.0))]), at(10.0));
        assert_eq!(view.left(), Left::AtLeast(90.0));
        view.note(&finished("a", Status::Ran), at(100.0));
        assert_eq!(view.left(), Left::AtLeast(20.0));
        view.note(&finished("c", Status::Ran), at(100.0));
        assert_eq!(view.left(), Left::Unknown);
        // What others of the stage took tells of those that come.
        view.note(&expected(1, &[("d[seed=0]", None), ("d[seed=1]", None), ("d[seed=2]", None)]), at(100.0));
        let Event::Finished(mut outcome) = finished("d[seed=0]", Status::Ran) else { unreachable!() };
        outcome.seconds = 7.0;
        view.note(&Event::Finished(outcome), at(107.0));
        assert_eq!(view.left(), Left::About(14.0));
    }

    #[test]
    fn a_process_that_was_stopped_has_no_rate_at_first() {
        let mut view = View::default();
        view.note(&started("a"), at(0.0));
        (0..=10).for_each(|tenth| view.note(&progress("a", tenth, 1000, "steps"), at(tenth as f64 * 0.1)));
        assert!(view.running["a"].per_second(at(1.0)).unwrap() > 9.0);
        view.tick(at(600.0));
        view.note(&progress("a", 400, 1000, "steps"), at(600.0));
        assert_eq!(view.running["a"].per_second(at(600.0)), None);
    }
}
