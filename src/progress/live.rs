//! The live view of a run on a terminal: what happened scrolls by, and below it a frame with the counter and the running
//! stages is drawn anew ten times a second.
//!
//! indicatif, the usual crate for this, draws each bar by a template of its own: it knows no common columns, no total
//! height, and no way to shorten a name. It leaves the cursor behind its last line, so that a terminal that wraps lines
//! anew after a change of size smears them, and it does not know of others who write to the terminal. What is drawn is in
//! `layout`, where in `crate::terminal`; this file knows when.

use super::layout;
use super::lines::{logged, sentence};
use super::view::View;
use super::words::{columns, cut, duration, padded, shortened, value};
use crate::event::{Event, Observer, Outcome, Status};
use crate::terminal::{self, Colour, Style};
use crate::visible::visible;
use indexmap::IndexSet;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

/// Between two frames.
const FRAME: Duration = Duration::from_millis(100);
/// Wider lines are hard to read: what stands at their right end is far from its name.
const WIDEST: usize = 100;
/// Reasons that a line has room for.
const REASONS: usize = 2;

/// Draws on standard error, which is a terminal.
pub struct Live {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    words: Words,
    /// When a run of another process began: its events come later than they happened.
    of_another: Option<SystemTime>,
}

struct Shared {
    begun: Instant,
    style: Style,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    view: View,
    over: bool,
}

impl Live {
    /// A view of a run that has not begun; `verbose` shows the lines that stages log too.
    pub fn new(verbose: bool) -> Self {
        Live::begun(Instant::now(), verbose, None)
    }

    /// A view of a run of another process that began then.
    pub fn of_another(run: SystemTime) -> Self {
        let age = SystemTime::now().duration_since(run).unwrap_or_default();
        let begun = Instant::now().checked_sub(age).unwrap_or_else(Instant::now);
        Live::begun(begun, false, Some(run))
    }

    fn begun(begun: Instant, verbose: bool, of_another: Option<SystemTime>) -> Self {
        let style = Style::of_stderr();
        let (state, changed) = (Mutex::new(State::default()), Condvar::new());
        let shared = Arc::new(Shared { begun, style, state, changed });
        let drawn = shared.clone();
        let thread = Some(std::thread::spawn(move || drawn.draw()));
        Live { shared, thread, words: Words { style, verbose, ..Words::default() }, of_another }
    }

    fn note(&mut self, event: &Event, now: Duration) {
        self.shared.lock().view.note(event, now);
        if let Some(text) = self.words.of(event, terminal::size().0) {
            terminal::say(&text);
        }
    }
}

impl Default for Live {
    fn default() -> Self {
        Self::new(false)
    }
}

impl Observer for Live {
    fn on_event(&mut self, event: &Event) {
        self.note(event, self.shared.begun.elapsed());
    }

    fn on_event_at(&mut self, event: &Event, at: SystemTime) {
        match self.of_another.and_then(|begun| at.duration_since(begun).ok()) {
            Some(then) => self.note(event, then),
            None => self.on_event(event),
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.shared.lock().over = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        terminal::hide();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Draws frames until the view is dropped.
    fn draw(&self) {
        let mut size = terminal::size();
        loop {
            let (mut state, _) = self.changed.wait_timeout(self.lock(), FRAME).unwrap_or_else(PoisonError::into_inner);
            if state.over {
                return;
            }
            state.view.tick(self.begun.elapsed());
            let before = std::mem::replace(&mut size, terminal::size());
            let lines = layout::frame(&state.view, self.style, size);
            drop(state);
            terminal::show(lines, size != before);
        }
    }
}

/// What scrolls by.
#[derive(Default)]
struct Words {
    style: Style,
    /// Whether the lines that stages log are said.
    verbose: bool,
    /// The widest name so far: names stand in one column.
    widest: usize,
    /// Stages of which a preview was mentioned.
    previews: IndexSet<String>,
}

impl Words {
    /// What to say about an event on a terminal of so many columns, if it is worth a line.
    fn of(&mut self, event: &Event, columns_of_terminal: usize) -> Option<String> {
        let wide = columns_of_terminal.saturating_sub(1).clamp(1, WIDEST);
        let dim = |text: &str| Some(self.style.paint(Colour::Dim, &cut(&visible(text), wide, self.style.gap())));
        match event {
            // The frame has what was said.
            Event::Begun { nodes, fresh, .. } if fresh < nodes => None,
            Event::Expected { seconds, .. } => {
                self.widest = seconds.keys().map(|node| columns(&visible(node))).max().unwrap_or(0);
                None
            }
            Event::Started { node, reasons, continues, .. } => {
                let few: Vec<String> = reasons.iter().take(REASONS).map(|reason| reason.to_string()).collect();
                let more = reasons.len().saturating_sub(REASONS);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                let continues = continues.map_or(String::new(), |step| format!("; continues after step {step}"));
                let name = self.name(node, wide);
                dim(&format!("{} {name}  {}{more}{continues}", self.style.sign("·", "-"), few.join(", ")))
            }
            Event::Preview { node, path, .. } => {
                let first = self.previews.insert(node.clone());
                let text = || {
                    self.style.paint(Colour::Dim, &visible(&format!("  {node}: preview: {}", nearer(path).display())))
                };
                first.then(text)
            }
            Event::Finished(outcome) => self.finished(outcome, wide),
            Event::Ended { .. } => None,
            other => {
                if let Some(text) = logged(other).filter(|_| self.verbose) {
                    return Some(visible(&text).into_owned());
                }
                let text = visible(&sentence(other)?).into_owned();
                let warns = !matches!(other, Event::Begun { .. } | Event::Waiting { .. } | Event::Pilots { .. });
                Some(if warns { self.style.paint(Colour::Yellow, &text) } else { text })
            }
        }
    }

    /// A name in the column of names.
    fn name(&self, node: &str, wide: usize) -> String {
        let room = self.widest.max(columns(node)).min(wide / 2);
        padded(&shortened(&visible(node), room, self.style.gap()), self.widest.min(room))
    }

    /// `✓ evaluate[lr_img=0.1,seed=0]   accuracy 29.0 %      0.1 s`.
    fn finished(&self, outcome: &Outcome, wide: usize) -> Option<String> {
        let (sign, colour) = match outcome.status {
            Status::Fresh | Status::Skipped | Status::LeftOut => return None,
            Status::Ran => (self.style.sign("✓", "ok"), Colour::Green),
            Status::Failed => (self.style.sign("✗", "FAILED"), Colour::Red),
            Status::Interrupted => (self.style.sign("■", "stopped"), Colour::Yellow),
        };
        let name = self.name(&outcome.node, wide);
        let took = duration(outcome.seconds);
        let start = columns(sign) + 1 + columns(&name) + 2;
        let room = wide.saturating_sub(start + columns(&took) + 2);
        let words = match (&outcome.failure, outcome.status) {
            (Some(failure), Status::Failed) => failure.message.lines().next().unwrap_or_default().to_string(),
            (_, Status::Interrupted) => "interrupted".to_string(),
            _ => headline(outcome),
        };
        let words = cut(&visible(&words), room, self.style.gap());
        let end = padded(&words, room);
        let sign = self.style.paint(colour, sign);
        Some(format!("{sign} {name}  {end}  {}", self.style.paint(Colour::Dim, &took)))
    }
}

/// A path from the current folder, where it is below it.
pub(super) fn nearer(path: &Path) -> &Path {
    std::env::current_dir().ok().and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path)
}

/// `accuracy 29.0 %, loss 1.2`.
pub(super) fn headline(outcome: &Outcome) -> String {
    let words =
        outcome.headline.iter().map(|shown| format!("{} {}", shown.name, value(shown.value, shown.unit.as_deref())));
    words.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::layout::tests::{expected, finished, started};
    use super::*;
    use crate::event::{Failure, Headline};
    use crate::reason::Reason;

    fn words() -> Words {
        let mut words = Words { style: Style { colour: false, unicode: true }, ..Words::default() };
        words.of(&expected(1, &[("evaluate[lr_img=0.1,seed=0]", None), ("table", None)]), 80);
        words
    }

    fn ran(node: &str) -> Event {
        let headline = vec![Headline { name: "accuracy".into(), value: 0.29, unit: Some("share".into()) }];
        Event::Finished(Outcome { headline, seconds: 0.12, ..Outcome::of(node) })
    }

    #[test]
    fn what_is_done_stands_in_columns_with_the_metric_that_matters() {
        let mut words = words();
        assert_eq!(
            words.of(&ran("evaluate[lr_img=0.1,seed=0]"), 80).unwrap(),
            "✓ evaluate[lr_img=0.1,seed=0]  accuracy 29.0 %                           0.12 s"
        );
        assert_eq!(
            words.of(&ran("table"), 80).unwrap(),
            "✓ table                        accuracy 29.0 %                           0.12 s"
        );
        words.style.unicode = false;
        assert!(words.of(&ran("table"), 80).unwrap().starts_with("ok table "));
        assert_eq!(words.of(&finished("table", Status::Skipped), 80), None);
    }

    #[test]
    fn no_such_line_wraps_and_none_is_obeyed() {
        let long = "x".repeat(90);
        let mut words = words();
        let failure = Failure { cause: None, message: "no\u{1b}[2J ".repeat(30), hint: None, log: Vec::new() };
        let failed = Outcome { status: Status::Failed, failure: Some(failure), ..Outcome::of(long.as_str()) };
        for wide in [20, 60, 80, 200] {
            for event in [ran(&long), Event::Finished(failed.clone()), started(&long)] {
                let text = words.of(&event, wide).unwrap();
                assert!(columns(&text) < wide.max(40), "{wide}: {text:?}");
                assert!(!text.contains('\u{1b}'), "{text:?}");
            }
        }
    }

    #[test]
    fn two_reasons_are_told_and_a_preview_once() {
        let mut words = words();
        let changed = |name: &str| Reason::ParamChanged { name: name.into(), old: "1".into(), new: "2".into() };
        let reasons = vec![changed("a"), changed("b"), changed("c"), changed("d")];
        let event =
            Event::Started { node: "table".into(), kind: "k".into(), slot: "cpu".into(), reasons, continues: None };
        assert!(words.of(&event, 80).unwrap().ends_with("a: 1 -> 2, b: 1 -> 2 and 2 more"));
        let preview = Event::Preview { node: "table".into(), step: 1, path: "/x/preview.png".into() };
        assert_eq!(words.of(&preview, 80).unwrap(), "  table: preview: /x/preview.png");
        assert_eq!(words.of(&preview, 80), None);
    }
}
