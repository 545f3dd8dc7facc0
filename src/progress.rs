//! What a run looks like while it goes on: a live view on a terminal, plain lines otherwise, JSON lines for programs, and the
//! journal that every run keeps. Each is an observer of the same events.

mod behind;
mod ending;
mod journal;
mod json;
mod kept_log;
mod layout;
mod lines;
mod live;
mod log_tail;
mod newest;
mod pins;
mod previews;
mod rate;
mod strip;
mod view;
mod words;

pub use behind::Behind;
pub use ending::Ending;
pub use journal::Journal;
pub use json::Json;
pub use lines::{Lines, Quiet};
pub use live::Live;
pub use pins::Pins;
pub use previews::Previews;
pub use strip::{Strip, kept_pictures};
pub use words::{count, duration, guess, whole};

use crate::event::Observer;
use std::io::IsTerminal;
use std::time::SystemTime;

/// A live view on a terminal, plain lines otherwise; `verbose` shows the lines that stages log too.
pub fn for_people(verbose: bool) -> Box<dyn Observer> {
    if is_live() { Box::new(Live::new(verbose)) } else { Box::new(Lines::new(verbose)) }
}

/// The same of a run that began then, in another process; it is told events with the time at which they happened. Where
/// standard output is no terminal, the lines go there.
pub fn of_another(begun: SystemTime) -> Box<dyn Observer> {
    if !std::io::stdout().is_terminal() {
        Box::new(Lines::on_stdout())
    } else if is_live() {
        Box::new(Live::of_another(begun))
    } else {
        Box::new(Lines::default())
    }
}

/// Whether people are shown a live view.
pub fn is_live() -> bool {
    std::io::stderr().is_terminal() && std::env::var("TERM").as_deref() != Ok("dumb")
}
