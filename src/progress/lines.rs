//! Plain lines: for logs and pipes. On standard error, or on standard output where they are all that a command has to say. Also the sentences that they share with the live view. What failed is
//! told in full at the end (`ending`).

use super::live::{headline, nearer};
use super::words::{count, duration, loss, unit};
use crate::event::{Event, Observer, Outcome, Status};
use crate::note::{self, say};
use ddpipe_interface::protocol::LogLevel;
use indexmap::{IndexMap, IndexSet};
use std::time::{Duration, Instant};

/// One line per thing that happened, and a line of progress per node every ten seconds.
#[derive(Debug, Default)]
pub struct Lines {
    verbose: bool,
    last_shown: IndexMap<String, Instant>,
    previews: IndexSet<String>,
    to_stdout: bool,
}

impl Lines {
    /// Lines on standard output.
    pub fn on_stdout() -> Self {
        Lines { to_stdout: true, ..Lines::default() }
    }

    fn say(&self, text: impl std::fmt::Display) {
        if self.to_stdout { note::tell(text) } else { say(text) }
    }

    /// Lines for a run that has not begun; `verbose` shows the lines that stages log too.
    pub fn new(verbose: bool) -> Self {
        Lines { verbose, ..Lines::default() }
    }
}

/// Between two lines of progress of one node.
const PAUSE: Duration = Duration::from_secs(10);

impl Observer for Lines {
    fn on_event(&mut self, event: &Event) {
        if let Event::Preview { node, path, .. } = event {
            if self.previews.insert(node.clone()) {
                self.say(format_args!("{node}: preview: {}", nearer(path).display()));
            }
            return;
        }
        if let Event::Progress { node, step, total, loss: of_loss, unit: of_unit } = event {
            let last_shown = self.last_shown.entry(node.clone()).or_insert_with(Instant::now);
            if last_shown.elapsed() >= PAUSE {
                *last_shown = Instant::now();
                let loss = of_loss.map_or(String::new(), |value| format!(", loss {}", loss(value)));
                self.say(format_args!("{node}: {step}/{total} {}{loss}", unit(of_unit, *total)));
            }
            return;
        }
        if let Some(text) = sentence(event).or_else(|| logged(event).filter(|_| self.verbose)) {
            self.say(text);
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
        Event::Begun { pipeline, nodes: 1, fresh: 1, .. } => format!("{pipeline}: its node is on record"),
        Event::Begun { pipeline, nodes, fresh, .. } if fresh == nodes => {
            format!("{pipeline}: all {nodes} nodes are on record")
        }
        Event::Begun { pipeline, nodes, fresh, run } => {
            format!("{pipeline}: {}, {fresh} on record (run {run})", count(*nodes, "node"))
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
        Event::Pilots { working, queued: 0, .. } => format!("{} at work", count(*working, "pilot")),
        Event::Pilots { working, queued, reason } => {
            let reason = reason.as_ref().map_or(String::new(), |reason| format!(" ({reason})"));
            format!("{} at work, {queued} queued{reason}", count(*working, "pilot"))
        }
        Event::Warning { text } => format!("warning: {text}"),
        Event::Finished(outcome) => return finished(outcome),
        _ => return None,
    })
}

fn finished(outcome: &Outcome) -> Option<String> {
    let node = &outcome.node;
    match (outcome.status, &outcome.failure) {
        // What is left out is said once for each source.
        (Status::Fresh | Status::Skipped | Status::LeftOut, _) => None,
        (Status::Ran, _) => {
            let metrics = headline(outcome);
            let metrics = if metrics.is_empty() { metrics } else { format!(": {metrics}") };
            Some(format!("{node}: done in {}{metrics}", duration(outcome.seconds)))
        }
        (Status::Interrupted, _) => Some(format!("{node}: interrupted")),
        (Status::Failed, failure) => {
            let message = failure.as_ref().and_then(|failure| failure.message.lines().next()).unwrap_or_default();
            Some(format!("{node}: failed: {message}"))
        }
    }
}
