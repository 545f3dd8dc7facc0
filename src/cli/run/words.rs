//! The last words of a run, for people.

use crate::expect::Checked;
use crate::terminal;
use std::time::{Duration, Instant};

/// How long an interrupted run waits at its end for a reader that does not read.
const PATIENCE: Duration = Duration::from_secs(2);

/// Says the last words, whose parts are visible already. A run that was interrupted does not wait for a reader that does not
/// read.
pub fn farewell(text: String, interrupted: bool) {
    if text.is_empty() {
        return;
    }
    let said = std::thread::spawn(move || terminal::say(&text));
    let since = Instant::now();
    while !(said.is_finished() || interrupted && since.elapsed() > PATIENCE) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Says how many expectations speak of nodes that were not selected.
pub fn not_checked(unasked: usize) -> String {
    match unasked {
        0 => String::new(),
        1 => "expect: 1 not checked: its node was not selected and is not on record\n".into(),
        count => format!("expect: {count} not checked: their nodes were not selected and are not on record\n"),
    }
}

/// The expectations, with what came out.
pub fn expectations(checked: &[Checked]) -> String {
    let mut text = String::new();
    for check in checked {
        text.push_str(&expectation(&check.what, check.value, &check.wanted, check.met, &check.place));
    }
    text
}

/// One expectation, with what came out.
pub fn expectation(what: &str, value: Option<f64>, wanted: &str, met: bool, place: &str) -> String {
    let value = value.map_or("not measured".to_string(), |value| format!("{value:.4}"));
    let mark = if met { "met" } else { "MISSED" };
    format!("expect {what}: {value}, wanted {wanted}: {mark} ({place})\n")
}
