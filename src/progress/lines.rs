//! Plain lines on standard error: for logs and pipes. Also the words that bars and lines share.

use crate::event::{Event, Observer, Outcome, Status};
use crate::note::say;
use ddpipe_interface::protocol::LogLevel;
use indexmap::IndexMap;
use std::time::{Duration, Instant};

/// One line per thing that happened, and a line of progress per node every ten seconds.
#[derive(Debug, Default)]
pub struct Lines {
    verbose: bool,
    last_shown: IndexMap<String, Instant>,
}

impl Lines {
    /// Lines for a run that has not begun; `verbose` shows the lines that stages log too.
    pub fn new(verbose: bool) -> Self {
        Lines { verbose, last_shown: IndexMap::new() }
    }
}

/// Between two lines of progress of one node.
const PAUSE: Duration = Duration::from_secs(10);

impl Observer for Lines {
    fn on_event(&mut self, event: &Event) {
        if let Event::Progress { node, step, total, loss, unit } = event {
            let last_shown = self.last_shown.entry(node.clone()).or_insert_with(Instant::now);
            if last_shown.elapsed() >= PAUSE {
                *last_shown = Instant::now();
                say(format_args!("{node}: {step}/{total} {unit}{}", loss_text(*loss)));
            }
            return;
        }
        if let Some(text) = sentence(event).or_else(|| logged(event).filter(|_| self.verbose)) {
            say(text);
        }
    }
}

/// A line that a stage logged, for those who asked for them.
pub(super) fn logged(event: &Event) -> Option<String> {
    match event {
        Event::Log { node, level: LogLevel::Info, text } => Some(format!("{node}: {text}")),
        _ => None,
    }
}

/// Shows only what went wrong.
#[derive(Debug)]
pub struct Quiet;

impl Observer for Quiet {
    fn on_event(&mut self, event: &Event) {
        let wrong = match event {
            Event::Warning { .. } | Event::Silent { .. } | Event::Retried { .. } => true,
            Event::Log { level, .. } => *level == LogLevel::Warn,
            Event::Finished(outcome) => outcome.failure.is_some(),
            _ => false,
        };
        if let Some(text) = sentence(event).filter(|_| wrong) {
            say(text);
        }
    }
}

/// What to say about an event, if it is worth a line.
pub(super) fn sentence(event: &Event) -> Option<String> {
    Some(match event {
        Event::Begun { pipeline, nodes, fresh, .. } if fresh == nodes => {
            format!("{pipeline}: all {nodes} nodes are on record")
        }
        Event::Begun { pipeline, nodes, fresh, run } => {
            format!("{pipeline}: {nodes} nodes, {fresh} on record (run {run})")
        }
        Event::Started { node, slot, reasons, continues, .. } => {
            let reasons: Vec<String> = reasons.iter().map(|reason| reason.to_string()).collect();
            let continues = continues.map_or(String::new(), |step| format!("; continues after step {step}"));
            format!("{node}: runs on {slot} ({}){continues}", reasons.join(", "))
        }
        Event::Log { node, level: LogLevel::Warn, text } => format!("{node}: warning: {text}"),
        Event::Waiting { node, holder } => format!("{node}: waits for {holder}"),
        Event::Silent { node, seconds } => {
            format!("{node}: no word of it for {}; it may still be at work; Ctrl-C stops the run", duration(*seconds))
        }
        Event::Retried { node, failed, times, message, .. } => {
            let message = message.lines().next().unwrap_or_default();
            format!("{node}: attempt {failed} failed, tried again (retry {failed} of {times}): {message}")
        }
        Event::Warning { text } => format!("warning: {text}"),
        Event::Finished(outcome) => return finished(outcome),
        Event::Ended { counts, seconds } => {
            let words: Vec<String> =
                counts.iter().map(|(status, count)| format!("{count} {}", word(*status))).collect();
            format!("{} in {}", words.join(", "), duration(*seconds))
        }
        _ => return None,
    })
}

fn finished(outcome: &Outcome) -> Option<String> {
    let node = &outcome.node;
    match (&outcome.failure, outcome.status) {
        // What is left out is said once for each source.
        (None, Status::Fresh) | (_, Status::LeftOut) => None,
        (None, _) => {
            let metrics: Vec<String> =
                outcome.metrics.iter().take(3).map(|(name, value)| format!("{name} {}", number(*value))).collect();
            let metrics = if metrics.is_empty() { String::new() } else { format!(": {}", metrics.join(", ")) };
            Some(format!("{node}: done in {}{metrics}", duration(outcome.seconds)))
        }
        (Some(failure), status) => {
            let mut text = format!("{node}: {}: {}", word(status), failure.message);
            for line in &failure.log {
                text.push_str(&format!("\n    | {line}"));
            }
            if let Some(hint) = &failure.hint {
                text.push_str(&format!("\n    {hint}"));
            }
            Some(text)
        }
    }
}

pub(super) fn loss_text(loss: Option<f64>) -> String {
    loss.map_or(String::new(), |loss| format!(", loss {}", number(loss)))
}

/// A number with four significant digits.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    if value == value.trunc() && size < 1e6 {
        format!("{value}")
    } else if (1e-3..1e5).contains(&size) {
        format!("{value:.4}")
    } else {
        format!("{value:.3e}")
    }
}

/// `0.42 s`, `7.3 s`, `2 min 05 s`, `1 h 03 min`.
pub(super) fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => format!("{s:.2} s"),
        s if s < 60.0 => format!("{s:.1} s"),
        s if s < 3600.0 => format!("{} min {:02} s", s as u64 / 60, s as u64 % 60),
        s => format!("{} h {:02} min", s as u64 / 3600, s as u64 / 60 % 60),
    }
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Ran => "ran",
        Status::Fresh => "on record",
        Status::Failed => "failed",
        Status::Interrupted => "interrupted",
        Status::Skipped => "skipped",
        Status::LeftOut => "left out",
    }
}
