//! Standard error, where people read: lines that stay and, below them on a terminal, a frame that is drawn anew. All that
//! the program says passes through here, so that no line is ever written into a frame. Knows how wide a terminal is and
//! what it can show; knows nothing of runs.

mod frame;
mod style;

pub use frame::Frame;
pub use style::{Colour, Style};

use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

static FRAME: Mutex<Frame> = Mutex::new(Frame::new());
/// No frame is drawn any more.
static OVER: AtomicBool = AtomicBool::new(false);

/// Columns and rows of the terminal behind standard error; 80 by 24 where it does not say.
pub fn size() -> (usize, usize) {
    let size = terminal_size::terminal_size_of(std::io::stderr());
    match size.map(|(width, height)| (usize::from(width.0), usize::from(height.0))) {
        Some((width, height)) if width > 0 && height > 0 => (width, height),
        _ => (80, 24),
    }
}

/// Columns that a text may have: those of a terminal, and as many as the text wants where there is none.
pub fn width() -> Option<usize> {
    std::io::stderr().is_terminal().then(|| size().0)
}

/// Writes a line, above the frame. What a terminal would obey in it has to be written out already (`crate::visible`).
/// Whoever read it may have gone away: that is no error.
pub fn say(text: &str) {
    let mut frame = lock();
    let bytes = frame.above(&format!("{text}\n"));
    write(&bytes);
}

/// Shows a frame below all lines in place of the one before. `anew` draws it even if nothing has changed, as after a
/// change of the terminal's size.
pub fn show(lines: Vec<String>, anew: bool) {
    let mut frame = lock();
    if OVER.load(Ordering::SeqCst) || in_background() {
        return;
    }
    if let Some(bytes) = frame.set(lines, anew) {
        write(&bytes);
    }
}

/// Takes the frame away, until the next one is shown.
pub fn hide() {
    let mut frame = lock();
    let bytes = frame.hide();
    write(&bytes);
}

/// Takes the frame away and shows no other, until [`resume`].
pub fn suspend() {
    OVER.store(true, Ordering::SeqCst);
    hide();
}

/// Frames are shown again.
pub fn resume() {
    OVER.store(false, Ordering::SeqCst);
}

/// Takes the frame away for good. Does not wait for somebody who is writing and cannot.
pub fn over() {
    OVER.store(true, Ordering::SeqCst);
    if let Ok(mut frame) = FRAME.try_lock() {
        let bytes = frame.hide();
        write(&bytes);
    }
}

/// Standard error for those who write bytes, such as the log. A line is written when it is whole.
#[derive(Debug, Default)]
pub struct Lines(Vec<u8>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.extend_from_slice(bytes);
        if self.0.ends_with(b"\n") {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let bytes = std::mem::take(&mut self.0);
        if !bytes.is_empty() {
            say(String::from_utf8_lossy(&bytes).trim_end_matches('\n'));
        }
        Ok(())
    }
}

fn lock() -> MutexGuard<'static, Frame> {
    FRAME.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write(text: &str) {
    if !text.is_empty() {
        let mut err = std::io::stderr().lock();
        let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
    }
}

/// Whether another program has the terminal, as after `bg`. It would be drawn over.
fn in_background() -> bool {
    nix::unistd::tcgetpgrp(std::io::stderr()).is_ok_and(|foreground| foreground != nix::unistd::getpgrp())
}
