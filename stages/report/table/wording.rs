//! The words of a table that are the same in every format: caption, note, and the numbers of a cell as text.

use super::cells::{Cell, Cells};
use super::{Params, Table};

/// The caption; sample data is always called so.
pub fn caption(params: &Params, sample: bool) -> String {
    let by: Vec<&str> = params.rows.iter().chain(&params.columns).map(String::as_str).collect();
    let mut caption = match &params.caption {
        Some(caption) => caption.clone(),
        None if by.is_empty() => params.value.clone(),
        None => format!("{} by {}", params.value, by.join(" and ")),
    };
    if sample {
        caption.push_str(" (sample data)");
    }
    caption
}

/// What the numbers are.
pub fn note(params: &Params, cells: &Cells, over: &[String]) -> String {
    let mut note = format!("{}{}", params.value, if params.percent { " in %" } else { "" });
    let single = cells.filled().any(|cell| cell.n == 1);
    if !over.is_empty() {
        note += &format!("; mean ± standard deviation over {}", over.join(" and "));
        if let Some(n) = cells.same_n() {
            note += &format!(", n = {n}");
        }
    }
    match &params.value_std {
        Some(name) if single => note + &format!("; of a single result: ± {name}"),
        _ => note,
    }
}

/// A cell's text. Formats differ in the sign and in what an empty cell shows.
pub fn cell(table: &Table, cell: Option<&Cell>, plus_minus: &str, empty: &str) -> String {
    let Some(cell) = cell else { return empty.to_string() };
    let factor = if table.percent { 100.0 } else { 1.0 };
    let number = |value: f64| format!("{:.*}", table.digits, value * factor);
    let mut text = number(cell.mean);
    if let Some(std) = cell.std {
        text += &format!(" {plus_minus} {}", number(std));
    }
    if table.show_n {
        text += &format!(" (n = {})", cell.n);
    }
    text
}

/// Escapes a text letter by letter; line breaks become spaces.
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
