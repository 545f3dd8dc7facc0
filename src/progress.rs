//! What a run looks like while it goes on: bars on a terminal, plain lines otherwise, JSON lines for programs, and the
//! journal that every run keeps. Each is an observer of the same events.

mod bars;
mod behind;
mod journal;
mod json;
mod kept_log;
mod lines;
mod live;
mod pins;
mod previews;

pub use bars::Bars;
pub use behind::Behind;
pub use journal::Journal;
pub use json::Json;
pub use lines::{Lines, Quiet};
pub use pins::Pins;
pub use previews::Previews;

use crate::event::Observer;
use std::io::IsTerminal;

/// Bars on a terminal, plain lines otherwise; `verbose` shows the lines that stages log too.
pub fn for_people(verbose: bool) -> Box<dyn Observer> {
    if std::io::stderr().is_terminal() && std::env::var("TERM").as_deref() != Ok("dumb") {
        Box::new(Bars::new(verbose))
    } else {
        Box::new(Lines::new(verbose))
    }
}
