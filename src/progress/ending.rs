//! What is said when a run is over, last of all: what failed, with its cause, its last words and the way out; how many
//! nodes did not run because of it; and one line that sums up. Pure.

use super::words::{columns, count, duration};
use crate::event::{Failure, Outcome, Status};
use crate::terminal::{Colour, Style};
use crate::visible::visible;

/// Failures that are told in full.
const IN_FULL: usize = 10;
/// Failures that the last line repeats by name.
const NAMED: usize = 5;

/// A run that is over.
#[derive(Clone, Copy, Debug)]
pub struct Ending<'a> {
    /// The pipeline's name.
    pub pipeline: &'a str,
    /// The run.
    pub run: &'a str,
    /// One outcome per node.
    pub outcomes: &'a [Outcome],
    /// Wall time.
    pub seconds: f64,
}

impl Ending<'_> {
    /// All that is to be said. `quiet` says nothing when nothing went wrong.
    pub fn text(&self, style: Style, quiet: bool) -> String {
        let of = |status: Status| self.outcomes.iter().filter(move |outcome| outcome.status == status);
        let number = |status: Status| of(status).count();
        if self.outcomes.is_empty() || number(Status::Fresh) == self.outcomes.len() {
            return String::new();
        }
        let failed: Vec<&Outcome> = of(Status::Failed).collect();
        let mut lines: Vec<String> = Vec::new();
        for (index, outcome) in failed.iter().enumerate() {
            lines.extend(failure(outcome, style, index < IN_FULL));
        }
        lines.extend(skipped(&of(Status::Skipped).collect::<Vec<_>>(), style));
        if number(Status::Interrupted) > 0 && number(Status::Skipped) == 0 {
            lines.push("       the run was interrupted; the same command continues it".into());
        }
        if !quiet || !lines.is_empty() {
            lines.push(self.summary(&failed, style));
        }
        lines.join("\n")
    }

    /// `sweep: 11 ran, 4 on record, 1 failed in 2 min 05 s: evaluate[seed=0]`.
    fn summary(&self, failed: &[&Outcome], style: Style) -> String {
        let word = |(status, word, colour): (Status, &str, Colour)| {
            let number = self.outcomes.iter().filter(|outcome| outcome.status == status).count();
            (number > 0).then(|| style.paint(colour, &format!("{number} {word}")))
        };
        let words = [
            (Status::Ran, "ran", Colour::Green),
            (Status::Fresh, "on record", Colour::Dim),
            (Status::Failed, "failed", Colour::Red),
            (Status::Interrupted, "interrupted", Colour::Yellow),
            (Status::Skipped, "not run", Colour::Yellow),
            (Status::LeftOut, "left out", Colour::Dim),
        ];
        let words: Vec<String> = words.into_iter().filter_map(word).collect();
        let mut text = format!("{}: {} in {}", visible(self.pipeline), words.join(", "), duration(self.seconds));
        if !failed.is_empty() {
            let names: Vec<_> = failed.iter().take(NAMED).map(|outcome| visible(&outcome.node)).collect();
            let more = if failed.len() > NAMED { format!(" and {} more", failed.len() - NAMED) } else { String::new() };
            text.push_str(&format!("; failed: {}{more}", names.join(", ")));
        }
        format!("{text} {}", style.paint(Colour::Dim, &format!("(run {})", self.run)))
    }
}

fn failure(outcome: &Outcome, style: Style, in_full: bool) -> Vec<String> {
    let head = format!("{} {}", style.paint(Colour::Red, "FAILED"), visible(&outcome.node));
    let Some(Failure { message, hint, log, .. }) = &outcome.failure else { return vec![head] };
    let message = visible(message);
    if !in_full {
        return vec![format!("{head}: {}", message.lines().next().unwrap_or_default())];
    }
    let mut lines = vec![head];
    lines.extend(message.lines().map(|line| format!("       {line}")));
    for line in log.iter().flat_map(|line| line.lines()) {
        lines.push(style.paint(Colour::Dim, &format!("    | {}", visible(line))));
    }
    lines.extend(hint.iter().flat_map(|hint| hint.lines()).map(|line| format!("       {}", visible(line))));
    lines
}

/// How many were skipped, and what would run them.
fn skipped(skipped: &[&Outcome], style: Style) -> Option<String> {
    if skipped.is_empty() {
        return None;
    }
    let message = |outcome: &&&Outcome| outcome.failure.as_ref().map_or("", |failure| &failure.message).to_string();
    let messages: Vec<String> = skipped.iter().map(|outcome| message(&outcome)).collect();
    let says = |text: &str| messages.iter().any(|message| message.contains(text));
    let were = if skipped.len() == 1 { "was" } else { "were" };
    let why = if says("interrupted") {
        "; the same command continues the run"
    } else if says("--keep-going") {
        "; --keep-going runs those that do not depend on what failed"
    } else {
        ", because they depend on what failed"
    };
    let why = if skipped.len() == 1 { why.replace("they depend", "it depends") } else { why.to_string() };
    let text = format!("       {} {were} not run{why}", count(skipped.len(), "node"));
    debug_assert!(columns(&text) < 100);
    Some(style.paint(Colour::Yellow, &text))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn failed(node: &str, status: Status, message: &str) -> Outcome {
        let (hint, log) = ((status == Status::Failed).then(|| "leave it out".to_string()), Vec::new());
        let failure = Failure { cause: None, message: message.into(), hint, log };
        Outcome { status, failure: Some(failure), ..Outcome::of(node) }
    }

    fn text(outcomes: &[Outcome], quiet: bool) -> String {
        Ending { pipeline: "sweep", run: "2026", outcomes, seconds: 72.0 }.text(Style::default(), quiet)
    }

    #[test]
    fn what_failed_is_told_once_and_named_again_and_what_was_skipped_is_a_number() {
        let mut outcomes = vec![Outcome::of("a"), failed("b[seed=0]", Status::Failed, "mlp takes no width\nat all")];
        let skip = "another node failed; --keep-going runs what does not depend on it";
        outcomes.extend((0..20).map(|number| failed(&format!("c{number}"), Status::Skipped, skip)));
        assert_eq!(
            text(&outcomes, true),
            "FAILED b[seed=0]\n       mlp takes no width\n       at all\n       leave it out\n       \
             20 nodes were not run; --keep-going runs those that do not depend on what failed\n\
             sweep: 1 ran, 1 failed, 20 not run in 1 min 12 s; failed: b[seed=0] (run 2026)"
        );
        let one = [failed("b", Status::Failed, "x"), failed("c", Status::Skipped, "b failed")];
        assert!(text(&one, false).contains("1 node was not run, because it depends on what failed"));
    }

    #[test]
    fn a_thousand_failures_are_a_few_lines_each() {
        let outcomes: Vec<Outcome> = (0..1000).map(|n| failed(&format!("n{n}"), Status::Failed, "no")).collect();
        let text = text(&outcomes, false);
        assert_eq!(text.lines().count(), 3 * 10 + 990 + 1);
        assert!(
            text.lines().last().unwrap().contains("1000 failed in 1 min 12 s; failed: n0, n1, n2, n3, n4 and 995 more")
        );
    }

    #[test]
    fn a_run_that_went_well_is_one_line_and_one_that_did_nothing_none() {
        assert_eq!(text(&[Outcome::of("a")], false), "sweep: 1 ran in 1 min 12 s (run 2026)");
        assert_eq!(text(&[Outcome::of("a")], true), "");
        assert_eq!(text(&[Outcome { status: Status::Fresh, ..Outcome::of("a") }], false), "");
        let stopped = failed("a", Status::Interrupted, "the run was interrupted; the same command continues it");
        assert!(text(&[stopped], true).contains("the same command continues it\nsweep: 1 interrupted"));
    }
}
