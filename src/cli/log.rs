//! The log on standard error: warnings in plain words. What it warns of is an event too where programs read a run, which
//! need no standard error.

use crate::event::{Event, Observer as _};
use crate::progress;
use crate::terminal::{self, Style};
use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use tracing::field::{Field, Visit};
use tracing::{Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// Whether this command writes events on standard output.
static EVENTS: AtomicBool = AtomicBool::new(false);

/// Starts it: with warnings, or with what `DDPIPE_LOG` asks for and where that comes from.
pub fn start() {
    let asked = EnvFilter::try_from_env("DDPIPE_LOG").ok();
    let detailed = asked.is_some();
    let log = tracing_subscriber::fmt()
        .with_env_filter(asked.unwrap_or_else(|| EnvFilter::new("warn")))
        .with_writer(terminal::Lines::default)
        .with_ansi(Style::of_stderr().colour)
        .with_target(detailed)
        .without_time()
        .log_internal_errors(false);
    log.finish().with(Warnings).init();
}

/// From now on warnings are events as well.
pub fn tell_programs() {
    EVENTS.store(true, Ordering::SeqCst);
}

/// Makes events of warnings.
struct Warnings;

impl<S: Subscriber> Layer<S> for Warnings {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if EVENTS.load(Ordering::SeqCst) && *event.metadata().level() <= Level::WARN {
            let mut words = Words::default();
            event.record(&mut words);
            progress::Json.on_event(&Event::Warning { text: words.text() });
        }
    }
}

/// The message of a log line, and its other fields.
#[derive(Default)]
struct Words {
    message: String,
    fields: String,
}

impl Words {
    fn text(self) -> String {
        if self.fields.is_empty() { self.message } else { format!("{} ({})", self.message, self.fields) }
    }
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            let _ = write!(self.message, "{value:?}");
        } else {
            let gap = if self.fields.is_empty() { "" } else { ", " };
            let _ = write!(self.fields, "{gap}{}: {value:?}", field.name());
        }
    }
}
