//! Words on standard error. Whoever read them may have gone away (`2>&1 | head`): that is no reason to end a run, and
//! `eprintln!` would.

use std::io::Write as _;

/// Writes a line to standard error if anybody listens.
pub fn say(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
