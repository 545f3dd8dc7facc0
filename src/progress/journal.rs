//! The journal of a run: its events as JSON lines in `runs/<id>/events.jsonl`, for later looks at what happened. Bounded by
//! the nodes and their curves: of a node's log it has the first and the last lines, the last ones at its end.

use super::kept_log::KeptLog;
use super::log_tail::LogTail;
use super::newest::Newest;
use crate::event::{Event, Observer, Outcome, Status};
use crate::told::JOURNAL;
use ddpipe_cache::RunDir;
use indexmap::IndexMap;
use serde::Serialize;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// Letters of a log line that the journal has.
const LETTERS: usize = 4000;
/// How long a log line may be on its way to the file.
const PAUSE: Duration = Duration::from_secs(1);

/// Writes events to the run's folder. Progress is left out, as the curves tell more in less; the newest of it is beside.
pub struct Journal {
    file: BufWriter<File>,
    begun: Instant,
    flushed: Instant,
    logs: IndexMap<String, KeptLog<String>>,
    tail: LogTail,
    newest: Newest,
}

#[derive(Serialize)]
struct Line<'a> {
    /// Seconds since the run began.
    at: f64,
    #[serde(flatten)]
    event: &'a Event,
}

/// The event `finished` of a node on record.
#[derive(Serialize)]
struct Fresh<'a> {
    at: f64,
    event: &'static str,
    node: &'a str,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    seconds: f64,
}

/// In place of the lines of a log that are not kept.
#[derive(Serialize)]
struct LeftOut<'a> {
    event: &'static str,
    node: &'a str,
    lines: u64,
}

impl Journal {
    /// A journal in this run's folder.
    pub fn new(run: &RunDir) -> std::io::Result<Self> {
        let file = BufWriter::new(File::create(run.path().join(JOURNAL))?);
        let begun = Instant::now();
        let (tail, newest) = (LogTail::new(run.path()), Newest::new(run.path()));
        Ok(Journal { file, begun, flushed: begun, logs: IndexMap::new(), tail, newest })
    }

    /// Adds events to the journal of a run whose own is out of reach.
    pub fn add(folder: &Path, since: Duration, events: &[Event]) -> std::io::Result<()> {
        let at = (since.as_secs_f64() * 1e3).round() / 1e3;
        let mut file = File::options().append(true).create(true).open(folder.join(JOURNAL))?;
        let mut text = String::new();
        for event in events {
            text.push_str(&serde_json::to_string(&Line { at, event })?);
            text.push('\n');
        }
        file.write_all(text.as_bytes())
    }

    fn note(&mut self, event: &Event) -> std::io::Result<()> {
        let at = (self.begun.elapsed().as_secs_f64() * 1e3).round() / 1e3;
        match event {
            Event::Download { file, done, total } if Some(*done) == *total => {
                self.newest.forget(file);
                return Ok(());
            }
            Event::Progress { node: of, .. } | Event::Download { file: of, .. } => {
                self.newest.note(of, serde_json::to_string(&Line { at, event })?);
                return Ok(());
            }
            Event::Log { node, level, text } => {
                let text = text.chars().take(LETTERS).collect();
                let event = Event::Log { node: node.clone(), level: *level, text };
                let line = serde_json::to_string(&Line { at, event: &event })?;
                // Whoever follows the log reads it at once: the first lines here, later ones from the live file.
                return match self.logs.entry(node.clone()).or_default().take(line.clone()) {
                    Some(line) => {
                        writeln!(self.file, "{line}")?;
                        self.file.flush()
                    }
                    None => self.tail.note(&line),
                };
            }
            Event::Finished(outcome) if is_fresh(outcome) => {
                // Of a node on record the record has the rest; there may be very many, and they may wait.
                let Outcome { node, status, key, .. } = outcome;
                let line = Fresh { at, event: "finished", node, status: *status, key: key.as_deref(), seconds: 0.0 };
                serde_json::to_writer(&mut self.file, &line)?;
                self.file.write_all(b"\n")?;
                return self.flush_now_and_then();
            }
            Event::Finished(outcome) => self.end_log(&outcome.node)?,
            Event::Retried { node, .. } => self.end_log(node)?,
            _ => {}
        }
        writeln!(self.file, "{}", serde_json::to_string(&Line { at, event })?)?;
        // A crash must leave what led to it; metrics may wait.
        match event {
            Event::Metric { .. } => self.flush_now_and_then(),
            _ => self.file.flush(),
        }
    }

    fn end_log(&mut self, node: &str) -> std::io::Result<()> {
        self.newest.forget(node);
        let Some(log) = self.logs.shift_remove(node) else { return Ok(()) };
        let (lines, last) = log.end();
        if lines > 0 {
            let left_out = LeftOut { event: "log_left_out", node, lines };
            writeln!(self.file, "{}", serde_json::to_string(&left_out)?)?;
        }
        last.iter().try_for_each(|line| writeln!(self.file, "{line}"))
    }

    fn flush_now_and_then(&mut self) -> std::io::Result<()> {
        if self.flushed.elapsed() < PAUSE {
            return Ok(());
        }
        self.flushed = Instant::now();
        self.file.flush()
    }
}

fn is_fresh(outcome: &Outcome) -> bool {
    outcome.status == Status::Fresh
}

impl Observer for Journal {
    fn on_event(&mut self, event: &Event) {
        if let Err(error) = self.note(event) {
            tracing::warn!("the run's journal: {error}");
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let nodes: Vec<String> = self.logs.keys().cloned().collect();
        for node in nodes {
            if let Err(error) = self.end_log(&node) {
                tracing::warn!("the run's journal: {error}");
            }
        }
        self.tail.over();
    }
}
