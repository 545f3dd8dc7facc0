//! The journal of a run: its events as JSON lines in `runs/<id>/events.jsonl`, for later looks at what happened.

use crate::event::{Event, Observer};
use ddpipe_cache::RunDir;
use serde::Serialize;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::time::Instant;

/// Writes events to the run's folder. Progress is left out: the curves tell more in less.
pub struct Journal {
    file: BufWriter<File>,
    begun: Instant,
}

#[derive(Serialize)]
struct Line<'a> {
    /// Seconds since the run began.
    at: f64,
    #[serde(flatten)]
    event: &'a Event,
}

impl Journal {
    /// A journal in this run's folder.
    pub fn new(run: &RunDir) -> std::io::Result<Self> {
        let file = BufWriter::new(File::create(run.path().join("events.jsonl"))?);
        Ok(Journal { file, begun: Instant::now() })
    }
}

impl Observer for Journal {
    fn on_event(&mut self, event: &Event) {
        if matches!(event, Event::Progress { .. } | Event::Download { .. }) {
            return;
        }
        let at = (self.begun.elapsed().as_secs_f64() * 1e3).round() / 1e3;
        let written = serde_json::to_writer(&mut self.file, &Line { at, event })
            .map_err(std::io::Error::from)
            .and_then(|()| self.file.write_all(b"\n"))
            // A crash must leave what led to it; metrics may wait.
            .and_then(|()| if matches!(event, Event::Metric { .. }) { Ok(()) } else { self.file.flush() });
        if let Err(error) = written {
            tracing::warn!("the run's journal: {error}");
        }
    }
}
