//! `--json`: every event as one line of JSON on standard output.

use crate::event::{Event, Observer};

/// Prints events for programs.
pub struct Json;

impl Observer for Json {
    fn on_event(&mut self, event: &Event) {
        use std::io::Write as _;
        if let Ok(line) = serde_json::to_string(event) {
            // A reader that has gone away must not end the run.
            let _ = writeln!(std::io::stdout().lock(), "{line}");
        }
    }
}
