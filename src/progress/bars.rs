//! Bars on a terminal: one per running stage with step, loss, rate and time left; everything else scrolls above them.

use super::lines::{logged, loss_text, sentence};
use crate::event::{Event, Observer};
use crate::visible::visible;
use indexmap::IndexMap;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::time::Duration;

/// Draws bars on standard error.
pub struct Bars {
    all: MultiProgress,
    running: IndexMap<String, ProgressBar>,
    styled: IndexMap<String, ()>,
    verbose: bool,
}

impl Default for Bars {
    fn default() -> Self {
        Self::new(false)
    }
}

impl Bars {
    /// Bars for a run that has not begun; `verbose` shows the lines that stages log above them.
    pub fn new(verbose: bool) -> Self {
        Bars { all: MultiProgress::new(), running: IndexMap::new(), styled: IndexMap::new(), verbose }
    }

    fn say(&self, text: &str) {
        // A terminal that cannot be written to cannot be told so either.
        let _ = self.all.println(visible(text));
    }

    fn bar(&mut self, name: &str) -> ProgressBar {
        let all = &self.all;
        let make = || {
            let bar = all.add(ProgressBar::new_spinner());
            bar.set_style(style("{spinner} {prefix} {elapsed}"));
            bar.set_prefix(visible(name).into_owned());
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        };
        self.running.entry(name.to_string()).or_insert_with(make).clone()
    }
}

impl Observer for Bars {
    fn on_event(&mut self, event: &Event) {
        match event {
            Event::Started { node, .. } => {
                self.bar(node);
            }
            Event::Progress { node, step, total, loss, unit } => {
                let bar = self.bar(node);
                if self.styled.insert(node.clone(), ()).is_none() {
                    bar.set_style(style("{prefix} {bar:24} {pos}/{len} {msg} {per_sec}, {eta} left"));
                    // The rate counts from here: a continued stage has steps that it did not make now.
                    bar.set_position(*step);
                    bar.reset_eta();
                }
                bar.set_length(*total);
                bar.set_position(*step);
                bar.set_message(format!("{}{}", visible(unit), loss_text(*loss)));
                return;
            }
            Event::Download { file, done, total } => {
                let bar = self.bar(file);
                bar.set_length(total.unwrap_or(*done));
                bar.set_position(*done);
                bar.set_style(style("{prefix} {bar:24} {bytes}/{total_bytes} {bytes_per_sec}"));
                if Some(*done) == *total {
                    bar.finish_and_clear();
                }
                return;
            }
            Event::Finished(outcome) => {
                self.styled.shift_remove(&outcome.node);
                if let Some(bar) = self.running.shift_remove(&outcome.node) {
                    bar.finish_and_clear();
                    self.all.remove(&bar);
                }
            }
            Event::Ended { .. } => {
                let _ = self.all.clear();
            }
            _ => {}
        }
        if let Some(text) = sentence(event).filter(|_| !matches!(event, Event::Started { .. })) {
            self.say(&text);
        } else if let Some(text) = logged(event).filter(|_| self.verbose) {
            self.say(&text);
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
