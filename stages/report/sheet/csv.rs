//! Writes a table as comma-separated values (RFC 4180), for programs: unscaled numbers, in the shortest form from which
//! the same number is read back.

use super::{Entry, Sheet};

/// The table as CSV, one line per row: its title, then mean, std and n of every column, and p and mark if the cells
/// were tested. Missing values are empty fields.
pub fn write(sheet: &Sheet) -> String {
    let tested: &[&str] = if sheet.tested { &["p", "mark"] } else { &[] };
    let mut text = quoted(&sheet.corner);
    for title in &sheet.plain_columns {
        for what in ["mean", "std", "n"].iter().chain(tested) {
            text += &format!(",{}", quoted(&format!("{title} {what}")));
        }
    }
    text += "\r\n";
    for (title, row) in sheet.rows.iter().zip(&sheet.entries) {
        text += &quoted(title);
        for entry in row {
            match entry {
                Some(entry) => text += &fields(entry, sheet.tested),
                None => text += &",".repeat(3 + tested.len()),
            }
        }
        text += "\r\n";
    }
    text
}

fn fields(entry: &Entry, tested: bool) -> String {
    let number = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
    let mut text = format!(",{},{},{}", entry.cell.mean, number(entry.cell.std), entry.cell.n);
    if tested {
        text += &format!(",{},{}", number(entry.p), entry.mark.map_or("", |mark| mark.name()));
    }
    text
}

/// A text as a field. Spreadsheet programs take a text that begins with `=`, `+`, `-`, `@`, a tab or a carriage return
/// for a formula; an apostrophe in front keeps it a text. Numbers are left as they are.
pub fn quoted(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text.parse::<f64>().is_err();
    let text = if formula { &format!("'{text}") } else { text };
    if text.contains([',', '"', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_string() }
}
