//! The table as comma-separated values (RFC 4180), for programs: numbers as they are, in the shortest form that reads
//! back.

use super::Table;
use super::cells::Cell;

/// One line per row: its title, then mean, std and n of every column; what is missing stays empty.
pub fn write(table: &Table) -> String {
    let mut text = quoted(&table.corner);
    for title in &table.cells.columns {
        for what in ["mean", "std", "n"] {
            text += &format!(",{}", quoted(&format!("{title} {what}")));
        }
    }
    text += "\r\n";
    for (title, row) in table.cells.rows.iter().zip(&table.cells.grid) {
        text += &quoted(title);
        for cell in row {
            text += &match cell {
                Some(Cell { mean, std: Some(std), n }) => format!(",{mean},{std},{n}"),
                Some(Cell { mean, std: None, n }) => format!(",{mean},,{n}"),
                None => ",,,".to_string(),
            };
        }
        text += "\r\n";
    }
    text
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_string() }
}
