//! `--json`: every event as one line of JSON on standard output, with its time.

use crate::event::{Event, Observer};
use crate::when;
use serde::Serialize;
use std::time::SystemTime;

/// Prints events for programs.
pub struct Json;

/// An event and when it happened.
#[derive(Serialize)]
struct Line<'a> {
    at: String,
    #[serde(flatten)]
    event: &'a Event,
}

impl Observer for Json {
    fn on_event(&mut self, event: &Event) {
        self.on_event_at(event, SystemTime::now());
    }

    fn on_event_at(&mut self, event: &Event, at: SystemTime) {
        use std::io::Write as _;
        if let Ok(line) = serde_json::to_string(&Line { at: when::rfc3339(at), event }) {
            // A reader that has gone away must not end the run.
            let _ = writeln!(std::io::stdout().lock(), "{line}");
        }
    }
}
