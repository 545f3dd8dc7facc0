//! What was expected and what came, what is worse than the baseline, and what went wrong, with its way out.

use super::standing::Standing;
use super::subject::Subject;
use super::words::{Link, brief};
use crate::baseline::{Side, Verdict};
use crate::number::significant;

/// So many failures are told in full.
const FAILURES: usize = 50;
/// So many rows of a list are shown.
const ROWS: usize = 200;

/// The outcome.
pub struct Outcome {
    /// The expectations.
    pub expectations: Vec<Expectation>,
    /// The rows beside the baseline.
    pub baseline: Option<Baseline>,
    /// The nodes that failed or were stopped.
    pub failures: Vec<Failure>,
    /// How many further ones there are.
    pub more: usize,
    /// How many nodes could not run because of others.
    pub skipped: usize,
    /// What went wrong beside the nodes.
    pub faults: Vec<String>,
    /// What the run warned of.
    pub warnings: Vec<String>,
}

/// An expectation.
pub struct Expectation {
    /// What it is about.
    pub what: String,
    /// What came.
    pub value: String,
    /// What was asked.
    pub wanted: String,
    /// How far the value is from the bound: `0.012 above`.
    pub margin: String,
    /// `met`, `missed`, `not checked`.
    pub verdict: &'static str,
    /// The class of its colours.
    pub class: &'static str,
    /// Where it is written.
    pub place: String,
}

/// A baseline.
pub struct Baseline {
    /// Which, and what came of comparing.
    pub words: String,
    /// The metrics that are not the same.
    pub rows: Vec<Beside>,
}

/// A metric beside its baseline.
pub struct Beside {
    /// Node and metric.
    pub what: String,
    /// The baseline's value.
    pub was: String,
    /// The value now.
    pub now: String,
    /// The difference, and its interval where there was a test.
    pub difference: String,
    /// The verdict.
    pub verdict: &'static str,
    /// The class of its colours.
    pub class: &'static str,
    /// Why.
    pub why: String,
}

/// A node that has no result.
pub struct Failure {
    /// The node.
    pub node: Link,
    /// How it stands.
    pub standing: Standing,
    /// What happened.
    pub message: String,
    /// The way out.
    pub hint: String,
    /// The last lines that it logged.
    pub log: String,
}

/// The outcome.
pub fn of(subject: &Subject) -> Outcome {
    let lost = |node: &&crate::pipeline::Node| {
        matches!(subject.facts(node.id).standing, Standing::Failed | Standing::Interrupted)
    };
    let mut failed: Vec<_> = subject.pipeline.nodes.iter().filter(lost).collect();
    failed.sort_by_key(|node| subject.facts(node.id).standing);
    let more = failed.len().saturating_sub(FAILURES);
    Outcome {
        expectations: expectations(subject),
        baseline: baseline(subject),
        failures: failed.iter().take(FAILURES).map(|node| failure(subject, node)).collect(),
        more,
        skipped: subject.count(Standing::Skipped),
        faults: subject.faults.clone(),
        warnings: subject.journal.warnings.iter().take(ROWS).cloned().collect(),
    }
}

impl Outcome {
    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.expectations.is_empty()
            && self.baseline.is_none()
            && self.failures.is_empty()
            && self.skipped == 0
            && self.faults.is_empty()
            && self.warnings.is_empty()
    }
}

fn failure(subject: &Subject, node: &crate::pipeline::Node) -> Failure {
    let facts = subject.facts(node.id);
    let failure = facts.failure.as_ref();
    let log = match failure {
        Some(failure) if !failure.log.is_empty() => failure.log.join("\n"),
        _ => subject
            .told(node.id)
            .map_or(String::new(), |(_, work)| work.log.iter().cloned().collect::<Vec<_>>().join("\n")),
    };
    Failure {
        node: Link::to(subject.pipeline, node.id),
        standing: facts.standing,
        message: failure.map_or(String::new(), |failure| failure.message.clone()),
        hint: failure.and_then(|failure| failure.hint.clone()).unwrap_or_default(),
        log,
    }
}

fn expectations(subject: &Subject) -> Vec<Expectation> {
    let checked = subject.expected.iter().map(|it| Expectation {
        what: it.what.clone(),
        value: it.value.map_or("not measured".into(), brief),
        wanted: it.wanted.clone(),
        margin: it.value.map_or(String::new(), |value| margin(value, &it.wanted)),
        verdict: if it.met { "met" } else { "missed" },
        class: if it.met { "ran" } else { "failed" },
        place: it.place.clone(),
    });
    let unchecked = subject.unchecked.iter().map(|(what, wanted, why)| Expectation {
        what: what.clone(),
        value: why.clone(),
        wanted: wanted.clone(),
        margin: String::new(),
        verdict: "not checked",
        class: "none",
        place: String::new(),
    });
    let mut all: Vec<Expectation> = checked.chain(unchecked).collect();
    // What was missed stands first.
    all.sort_by_key(|it| ["missed", "met", "not checked"].iter().position(|verdict| *verdict == it.verdict));
    all.truncate(ROWS);
    all
}

/// How far a value is from a single bound; of bounds on both sides nothing is said.
fn margin(value: f64, wanted: &str) -> String {
    let bound = |word: &str| wanted.strip_prefix(word).and_then(|bound| bound.trim().parse::<f64>().ok());
    let Some(bound) = bound("at least").or_else(|| bound("at most")) else { return String::new() };
    let side = if value >= bound { "above" } else { "below" };
    format!("{} {side}", brief((value - bound).abs()))
}

fn baseline(subject: &Subject) -> Option<Baseline> {
    let found = subject.baseline.as_ref()?;
    let numbers = |side: &Side| match side.deviation {
        Some(deviation) => format!("{} ± {} (n {})", significant(side.mean), significant(deviation), side.n),
        None => significant(side.mean),
    };
    let changed = found.rows.iter().filter(|row| row.verdict != Verdict::Same);
    let rows = changed.take(ROWS).map(|row| Beside {
        what: format!("{}.{}", row.node, row.metric),
        was: numbers(&row.was),
        now: row.now.as_ref().map_or("–".into(), numbers),
        difference: row.now.as_ref().map_or(String::new(), |now| {
            let interval = row.interval.map(|[low, high]| format!(" ({} to {})", signed(low), signed(high)));
            signed(now.mean - row.was.mean) + &interval.unwrap_or_default()
        }),
        verdict: row.verdict.words(),
        class: match row.verdict {
            Verdict::Worse => "failed",
            Verdict::Better => "ran",
            _ => "none",
        },
        why: row.why.clone(),
    });
    Some(Baseline { words: format!("{}: {}", found.origin(), found.counts()), rows: rows.collect() })
}

fn signed(value: f64) -> String {
    if value > 0.0 { format!("+{}", significant(value)) } else { significant(value) }
}
