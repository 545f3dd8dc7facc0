//! Text that shows what it is. Names and words from manifests, programs and records may hold characters that a terminal
//! obeys instead of showing them: they never reach one as they are. JSON output has escapes of its own.

use std::borrow::Cow;

/// Whether a character is obeyed or unseen instead of shown: control characters, those that turn the direction of
/// writing, those without width, and those that Unicode will never give a meaning. The newline and the tab are not.
pub fn is_hidden(letter: char) -> bool {
    match letter {
        '\n' | '\t' => false,
        letter if letter.is_control() => true,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}' => true,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => true,
        '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' => true,
        _ => false,
    }
}

/// The text with every hidden character written as `\u{1b}`; a carriage return before a newline is left out.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\r' if letters.peek() == Some(&'\n') => {}
            letter if is_hidden(letter) => shown.extend(letter.escape_unicode()),
            letter => shown.push(letter),
        }
    }
    Cow::Owned(shown)
}

/// The text with every hidden character replaced by a sign that takes as many bytes, so that places in it stay places.
pub fn masked(text: &str) -> Cow<'_, str> {
    let hides = |letter: char| is_hidden(letter) && letter != '\r';
    if !text.contains(hides) {
        return Cow::Borrowed(text);
    }
    let sign = |letter: char| match letter.len_utf8() {
        1 => "?",
        2 => "\u{bf}",
        3 => "\u{fffd}",
        _ => "\u{bf}\u{bf}",
    };
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if hides(letter) { shown.push_str(sign(letter)) } else { shown.push(letter) }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_written_out() {
        assert_eq!(visible("\u{1b}]0;title\u{7}"), "\\u{1b}]0;title\\u{7}");
        assert_eq!(visible("a\u{9b}2J\u{202e}b\u{200b}"), "a\\u{9b}2J\\u{202e}b\\u{200b}");
        assert_eq!(visible("over\rwritten\r\n"), "over\\u{d}written\n");
    }

    #[test]
    fn a_masked_text_has_its_length() {
        let text = "a\u{1b}b\u{9b}c\u{202e}d\u{e0041}e";
        assert_eq!(masked(text), "a?b\u{bf}c\u{fffd}d\u{bf}\u{bf}e");
        assert_eq!(masked(text).len(), text.len());
    }

    #[test]
    fn words_of_all_languages_stay() {
        for text in ["plain", "mean ± std\n\tnext", "é 数据 データ наборы"] {
            assert!(matches!(visible(text), Cow::Borrowed(_)), "{text}");
        }
    }
}
