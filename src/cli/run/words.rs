//! The last words of a run, for people.

use crate::expect::{Checked, Unchecked, Why};
use crate::terminal;
use crate::visible::visible;
use indexmap::IndexMap;
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

/// Says which expectations speak of nodes that are left out, and how many of nodes that were not selected.
pub fn not_checked(unchecked: &[Unchecked]) -> String {
    let (mut text, mut unselected) = (String::new(), 0);
    let mut left_out: IndexMap<&str, (&str, &str, usize)> = IndexMap::new();
    for Unchecked { what, place, why, .. } in unchecked {
        match why {
            Why::NotSelected => unselected += 1,
            Why::LeftOut(reason) => left_out.entry(place).or_insert((what, reason, 0)).2 += 1,
        }
    }
    for (place, (what, reason, count)) in left_out {
        let more = if count > 1 { format!(" and {} more", count - 1) } else { String::new() };
        text.push_str(&format!("expect {what}{more}: not checked, {reason} ({place})\n"));
    }
    match unselected {
        0 => {}
        1 => text.push_str("expect: 1 not checked: its node was not selected and is not on record\n"),
        count => text
            .push_str(&format!("expect: {count} not checked: their nodes were not selected and are not on record\n")),
    }
    visible(&text).into_owned()
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
