//! Words on standard error. Whoever read them may have gone away (`2>&1 | head`): that is no reason to end a run, and
//! `eprintln!` would.

use crate::terminal::{self, Style};
use crate::visible::visible;
use std::borrow::Cow;

/// Writes a line to standard error if anybody listens. Characters that a terminal would obey are written out.
pub fn say(text: impl std::fmt::Display) {
    let text = text.to_string();
    terminal::say(&if Style::of_stderr().colour { coloured(&text) } else { visible(&text) });
}

/// Writes a line to standard output, if anybody listens.
pub fn tell(text: impl std::fmt::Display) {
    use std::io::Write as _;
    let text = format!("{}\n", visible(&text.to_string()));
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// As [`visible`]; but a rendered report, which begins in bold, keeps its colours. What it quotes is visible already, and
/// no other text begins in that way: ours begin with a word or a name.
fn coloured(text: &str) -> Cow<'_, str> {
    if !text.starts_with("\u{1b}[1m") {
        return visible(text);
    }
    let mut shown = String::with_capacity(text.len());
    for (index, piece) in text.split("\u{1b}[").enumerate() {
        let style = piece.split_once('m').filter(|(style, _)| {
            index > 0 && style.split(';').all(|part| part.len() <= 3 && part.bytes().all(|byte| byte.is_ascii_digit()))
        });
        match style {
            Some((style, rest)) => {
                shown.push_str(&format!("\u{1b}[{style}m"));
                shown.push_str(&visible(rest));
            }
            None => shown.push_str(&visible(piece)),
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_report_keeps_its_colours_and_nothing_else_of_a_terminal() {
        let report = "\u{1b}[1ma.toml:1:1: wrong\u{1b}[0m\n\u{1b}[38;5;9m^\u{1b}[0m";
        assert_eq!(coloured(report), report);
        assert_eq!(coloured("\u{1b}[1mx\u{1b}[2Jy\u{1b}]0;z\u{7}"), "\u{1b}[1mx2Jy\\u{1b}]0;z\\u{7}");
        assert_eq!(coloured("a: \u{1b}[31mred"), "a: \\u{1b}[31mred");
    }
}
