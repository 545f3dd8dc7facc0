//! Texts in a figure: made harmless, and measured about.

/// A text as XML: markup characters are written out, control characters become spaces.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // XML 1.0 has no place for these.
            '\u{fffe}' | '\u{ffff}' => escaped.push(' '),
            letter if letter.is_control() => escaped.push(' '),
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// The width of a text of this size in pixels, about: letters of East Asian scripts are as wide as high.
pub(crate) fn width(text: &str, size: f64) -> f64 {
    text.chars().map(|letter| if letter as u32 >= 0x1100 { 1.0 } else { 0.56 }).sum::<f64>() * size
}

/// The text, cut in its middle if it is wider than this.
pub(crate) fn shortened(text: &str, size: f64, most: f64) -> String {
    if width(text, size) <= most {
        return text.to_string();
    }
    let letters: Vec<char> = text.chars().collect();
    let keep = ((most / width(text, size) * letters.len() as f64) as usize).saturating_sub(1).max(2);
    let (head, tail) = (keep.div_ceil(2), keep / 2);
    letters[..head].iter().chain(&['…']).chain(&letters[letters.len() - tail..]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_arrives_as_text() {
        assert_eq!(escape("<b a='1'>&\u{7}\"é"), "&lt;b a=&#39;1&#39;&gt;&amp; &quot;é");
    }

    #[test]
    fn long_texts_lose_their_middle() {
        assert_eq!(shortened("short", 12.0, 100.0), "short");
        let cut = shortened(&"abcdefghij".repeat(10), 12.0, 100.0);
        assert!(
            cut.starts_with("abc") && cut.ends_with("hij") && cut.contains('…') && width(&cut, 12.0) <= 100.0,
            "{cut}"
        );
    }
}
