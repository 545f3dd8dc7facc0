//! The bytes that draw a frame of lines, draw it anew and take it away. Writes nothing itself.
//!
//! The cursor rests at the begin of the frame's first line, not behind its last one. When a terminal gets another width it
//! wraps its lines anew, but the cursor stays with the letter that it is at; so the frame is found again, however many
//! rows its old lines take by now, and whatever stands above it is never touched.

/// A frame: the lines, and whether the terminal shows them.
#[derive(Debug, Default)]
pub struct Frame {
    lines: Vec<String>,
    shown: bool,
}

impl Frame {
    /// No frame.
    pub const fn new() -> Self {
        Frame { lines: Vec::new(), shown: false }
    }

    /// Writes a text, which ends with a newline, above the frame.
    pub fn above(&mut self, text: &str) -> String {
        match self.shown {
            true => format!("\r\u{1b}[J{text}{}", self.draw()),
            false => text.to_string(),
        }
    }

    /// Replaces the frame; nothing when it is shown already and not to be drawn `anew`. No line may be wider than the
    /// terminal, nor may there be more than it has rows.
    pub fn set(&mut self, lines: Vec<String>, anew: bool) -> Option<String> {
        if lines.is_empty() {
            return self.shown.then(|| self.hide());
        }
        if self.shown && !anew && self.lines == lines {
            return None;
        }
        self.lines = lines;
        self.shown = true;
        Some(self.draw())
    }

    /// Takes the frame away.
    pub fn hide(&mut self) -> String {
        let shown = std::mem::take(&mut self.shown);
        if shown { "\r\u{1b}[J".to_string() } else { String::new() }
    }

    fn draw(&self) -> String {
        let mut bytes = String::from("\r");
        for (index, line) in self.lines.iter().enumerate() {
            if index > 0 {
                bytes.push_str("\u{1b}[K\r\n");
            }
            bytes.push_str(line);
        }
        bytes.push_str("\u{1b}[J");
        if self.lines.len() > 1 {
            bytes.push_str(&format!("\u{1b}[{}A", self.lines.len() - 1));
        }
        bytes.push('\r');
        bytes
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn lines(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| text.to_string()).collect()
    }

    /// The rows of a terminal that was given these bytes.
    fn rows(terminal: &vt100::Parser) -> Vec<String> {
        let width = terminal.screen().size().1;
        let rows = terminal.screen().rows(0, width).map(|row| row.trim_end().to_string());
        let rows: Vec<String> = rows.collect();
        let last = rows.iter().rposition(|row| !row.is_empty()).map_or(0, |last| last + 1);
        rows[..last].to_vec()
    }

    #[test]
    fn a_frame_stays_below_what_is_said_and_leaves_nothing_behind() {
        let mut terminal = vt100::Parser::new(6, 20, 0);
        let mut frame = Frame::new();
        let mut give = |bytes: String| terminal.process(bytes.replace('\n', "\r\n").as_bytes());
        give(frame.above("one\n"));
        give(frame.set(lines(&["head", "a 1/3", "b 1/3"]), false).unwrap());
        assert!(frame.set(lines(&["head", "a 1/3", "b 1/3"]), false).is_none());
        give(frame.above("two\n"));
        give(frame.set(lines(&["head", "a 2/3"]), false).unwrap());
        assert_eq!(rows(&terminal), ["one", "two", "head", "a 2/3"]);
        // What is said when the frame is at the last row moves all up.
        let mut give = |bytes: String| terminal.process(bytes.replace('\n', "\r\n").as_bytes());
        (3..8).for_each(|number| give(frame.above(&format!("{number}\n"))));
        assert_eq!(rows(&terminal), ["4", "5", "6", "7", "head", "a 2/3"]);
        terminal.process(frame.hide().as_bytes());
        assert_eq!(rows(&terminal), ["4", "5", "6", "7"]);
        assert_eq!(frame.hide(), "");
    }

    #[test]
    fn a_narrower_terminal_has_no_piece_of_the_old_frame() {
        let mut terminal = vt100::Parser::new(8, 40, 0);
        let mut frame = Frame::new();
        terminal.process(b"before\r\n");
        let long = "a line that takes all but one columns ..";
        terminal.process(frame.set(lines(&["head", long]), false).unwrap().as_bytes());
        terminal.screen_mut().set_size(8, 20);
        terminal.process(frame.set(lines(&["head", "a line"]), true).unwrap().as_bytes());
        assert_eq!(rows(&terminal), ["before", "head", "a line"]);
        // As terminals do that wrap their lines anew: the cursor stays with its letter, and the old line has two rows.
        let mut terminal = vt100::Parser::new(8, 20, 0);
        terminal.process(format!("before\r\nhead\r\n{}\r\n{}\u{1b}[2A\r", &long[..20], &long[20..]).as_bytes());
        terminal.process(frame.set(lines(&["head", "a line"]), true).unwrap().as_bytes());
        assert_eq!(rows(&terminal), ["before", "head", "a line"]);
    }
}
