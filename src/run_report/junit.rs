//! A run as JUnit XML, in the form that Jenkins, GitLab and their like read: a suite of the nodes, one of the expectations,
//! one of the baseline, and one of what went wrong besides. Knows not where it is written to.

use super::{Attempt, NodeReport, RunReport};
use crate::baseline::Verdict;
use crate::event::{Met, Status};
use crate::visible::visible;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestRerun, TestSuite};
use std::time::Duration;

impl RunReport {
    /// The XML text.
    pub fn junit(&self) -> String {
        let mut report = Report::new(text(&self.pipeline));
        report.set_time(time(self.seconds));
        let suites = [self.nodes_suite(), self.expectations_suite(), self.baseline_suite(), self.run_suite()];
        report.add_test_suites(suites.into_iter().flatten());
        report.to_string().unwrap_or_else(|error| {
            tracing::warn!(%error, "the JUnit report could not be made");
            String::new()
        })
    }

    /// A suite with what is known of the run; none without cases.
    fn suite(&self, name: &str, cases: Vec<TestCase>) -> Option<TestSuite> {
        if cases.is_empty() {
            return None;
        }
        let mut suite = TestSuite::new(text(name));
        let mut property = |name: &str, value: &str| {
            suite.add_property((name, text(value).as_str()));
        };
        property("ddpipe", env!("CARGO_PKG_VERSION"));
        property("manifest", &self.manifest);
        if let Some(run) = &self.run {
            property("run", run);
        }
        if let Some(commit) = &self.commit {
            property("commit", &commit.hash);
            property("dirty", if commit.dirty { "true" } else { "false" });
        }
        property("began", &crate::when::rfc3339(self.began));
        suite.add_test_cases(cases);
        Some(suite)
    }

    fn nodes_suite(&self) -> Option<TestSuite> {
        let mut seconds = 0.0;
        let cases = self.nodes.iter().map(|node| {
            let mut status = status(node);
            status.add_reruns(node.failed.iter().map(attempt));
            let mut case = TestCase::new(text(&node.node), status);
            case.set_classname(text(&format!("{}.{}", self.pipeline, node.stage)));
            let took = node.outcome.as_ref().map_or(0.0, |outcome| outcome.seconds);
            seconds += took;
            case.set_time(time(took));
            if let Some(outcome) = &node.outcome {
                let metrics = outcome.metrics.iter().map(|(name, value)| format!("{name} = {value}"));
                let lines: Vec<String> = attempts(node, outcome.status).into_iter().chain(metrics).collect();
                if !lines.is_empty() {
                    case.set_system_out(text(&lines.join("\n")));
                }
            }
            case
        });
        let cases: Vec<TestCase> = cases.collect();
        let mut suite = self.suite(&self.pipeline, cases)?;
        suite.set_time(time(seconds));
        Some(suite)
    }

    fn expectations_suite(&self) -> Option<TestSuite> {
        let cases = self.expectations.iter().map(|expectation| {
            let words = format!("{} ({})", expectation.words, expectation.place);
            let status = match expectation.verdict {
                Met::Met => TestCaseStatus::success(),
                Met::Missed => non_success(NonSuccessKind::Failure, "expectation", &words, &words),
                Met::NotChecked => skipped(&words),
            };
            self.case("expectations", &expectation.metric, status)
        });
        self.suite(&format!("{} expectations", self.pipeline), cases.collect())
    }

    fn baseline_suite(&self) -> Option<TestSuite> {
        let comparison = self.comparison.as_ref()?;
        let cases = comparison.rows.iter().map(|row| {
            let words = format!("{} ({})", row.values(), row.why);
            let status = match row.verdict {
                Verdict::Worse => non_success(NonSuccessKind::Failure, "baseline", &words, &words),
                Verdict::CannotSay => skipped(&words),
                Verdict::Better | Verdict::Same => TestCaseStatus::success(),
            };
            self.case("baseline", &format!("{}.{}", row.node, row.metric), status)
        });
        self.suite(&format!("{} baseline", self.pipeline), cases.collect())
    }

    /// What went wrong apart from the nodes, or that the run has not ended.
    fn run_suite(&self) -> Option<TestSuite> {
        let error = |what: &str, message: &str| {
            let status = non_success(NonSuccessKind::Error, self.exit.name(), first_line(message), message);
            self.case("run", what, status)
        };
        let cases: Vec<TestCase> = if self.ended {
            let name = |number: usize| if number == 0 { "run".to_string() } else { format!("run {}", number + 1) };
            self.faults.iter().enumerate().map(|(number, fault)| error(&name(number), fault)).collect()
        } else {
            vec![error("run", "the run was killed before its end, or is still at work")]
        };
        self.suite(&format!("{} run", self.pipeline), cases)
    }

    fn case(&self, group: &str, name: &str, status: TestCaseStatus) -> TestCase {
        let mut case = TestCase::new(text(name), status);
        case.set_classname(text(&format!("{}.{group}", self.pipeline)));
        case.set_time(Duration::ZERO);
        case
    }
}

fn status(node: &NodeReport) -> TestCaseStatus {
    let Some(outcome) = &node.outcome else { return skipped("not selected") };
    let (message, details, kind) = match &outcome.failure {
        None => ("", String::new(), "error"),
        Some(failure) => {
            let mut details = failure.message.clone();
            if !failure.log.is_empty() {
                details.push_str(&format!("\n\nthe last lines of its log:\n{}", failure.log.join("\n")));
            }
            if let Some(hint) = &failure.hint {
                details.push_str(&format!("\n\n{hint}"));
            }
            (first_line(&failure.message), details, failure.cause.map_or("error", |cause| cause.name()))
        }
    };
    match outcome.status {
        Status::Ran => TestCaseStatus::success(),
        Status::Fresh => skipped("on record"),
        Status::Skipped | Status::LeftOut => skipped(message),
        Status::Failed => non_success(NonSuccessKind::Failure, kind, message, &details),
        Status::Interrupted => non_success(NonSuccessKind::Error, "interrupted", message, &details),
    }
}

/// An attempt that failed before another one, as JUnit's readers know it of a flaky test.
fn attempt(attempt: &Attempt) -> TestRerun {
    let mut rerun = TestRerun::new(NonSuccessKind::Failure);
    rerun.set_type(attempt.cause.name()).set_message(text(first_line(&attempt.message)));
    rerun.set_description(text(&attempt.message));
    rerun
}

/// In words, how many attempts a node took, and why: not every reader shows flaky runs.
fn attempts(node: &NodeReport, status: Status) -> Vec<String> {
    let count = node.failed.len() + 1;
    let all = match status {
        _ if node.failed.is_empty() => return Vec::new(),
        Status::Ran => format!("succeeded on attempt {count}"),
        _ => format!("{count} attempts"),
    };
    let failed = node.failed.iter().enumerate().map(|(number, attempt)| {
        format!("attempt {} failed: {}: {}", number + 1, attempt.cause.name(), first_line(&attempt.message))
    });
    std::iter::once(all).chain(failed).collect()
}

fn skipped(message: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(text(message));
    status
}

fn non_success(kind: NonSuccessKind, of: &str, message: &str, details: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(of).set_message(text(message)).set_description(text(details));
    status
}

fn first_line(message: &str) -> &str {
    message.lines().next().unwrap_or_default()
}

fn time(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// What is obeyed instead of shown is written out, and with it every character that XML does not allow.
fn text(text: &str) -> String {
    let unfit = |letter: char| matches!(letter, '\u{fffe}' | '\u{ffff}');
    visible(text).replace(unfit, "\u{fffd}")
}
