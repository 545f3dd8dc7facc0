//! The texts of a table that are the same in every format: caption, note, and the numbers of a cell.

use super::{Entry, Mark, Sheet};

/// The caption: the one that was given, or `shown` and the labels `by` which it is shown. Sample data is always marked
/// as such.
pub fn caption<'a>(given: Option<&str>, shown: &str, by: impl Iterator<Item = &'a String>, sample: bool) -> String {
    let by: Vec<&str> = by.map(String::as_str).collect();
    let mut caption = match given {
        Some(caption) => caption.to_string(),
        None if by.is_empty() => shown.to_string(),
        None => format!("{shown} by {}", by.join(" and ")),
    };
    if sample {
        caption.push_str(" (sample data)");
    }
    caption
}

/// The note followed by the legend; `sign` writes a mark in the format, `escape` its special characters.
pub fn note(sheet: &Sheet, sign: fn(Mark) -> &'static str, escape: fn(&str) -> String) -> String {
    let legend = sheet.legend.iter().map(|(mark, meaning)| format!("{}: {}", sign(*mark), escape(meaning)));
    let note = Some(escape(&sheet.note)).filter(|note| !note.is_empty());
    note.into_iter().chain(legend).collect::<Vec<_>>().join("; ")
}

/// The numbers of an entry as text, scaled and rounded, with `plus_minus` between mean and standard deviation.
pub fn numbers(entry: &Entry, plus_minus: &str) -> String {
    let number = |value: f64| format!("{:.*}", entry.digits, value * entry.factor);
    let mut text = number(entry.cell.mean);
    if let Some(std) = entry.cell.std {
        text += &format!(" {plus_minus} {}", number(std));
    }
    if entry.show_n {
        text += &format!(" (n = {})", entry.cell.n);
    }
    text
}

/// Escapes a text character by character with `letter`; line breaks and other control characters become spaces.
pub fn escape<'a>(text: &str, letter: impl Fn(char) -> Option<&'a str>) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match letter(character) {
            Some(replacement) => escaped.push_str(replacement),
            None if character.is_control() => escaped.push(' '),
            None => escaped.push(character),
        }
    }
    escaped
}
